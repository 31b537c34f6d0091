"""ImageNet's 1000 class names as a vocabulary, to measure `starter` on what it was taught."""

from timm.data.imagenet_info import ImageNetInfo

from shared.vocabulary import FACETS, Facet, Term, Vocabulary


def imagenet_vocabulary() -> Vocabulary:
    """A term for each class, in the order of the classes.

    A class is called by all of its names at once, as in `tench, Tinca tinca`: so 87 % of 1000
    photos got their class, and 83 % where each name competed by itself.
    """
    terms = tuple(Term((description,)) for description in ImageNetInfo().label_descriptions())
    return Vocabulary(facets=(Facet(FACETS[0], terms, ("a photo of {}",)),))
