import pytest

from shared.smart_labels import smart_labels


def test_what_varies_is_each_images_own_and_the_rest_is_the_header() -> None:
    labels = smart_labels(
        [
            {"seed": "1", "sampler": "euler", "steps": "20", "cfg": "7"},
            {"seed": "2", "sampler": "euler", "steps": "20", "cfg": "4.5"},
        ]
    )
    assert labels.header == "steps 20 · euler"
    assert labels.texts == ("cfg 7 · seed 1", "cfg 4.5 · seed 2")
    assert labels.varying == {"cfg", "seed"}


def test_the_order_of_keys_does_not_follow_that_of_the_files() -> None:
    keys = [
        "rating",
        "prompt",
        "tool",
        "seed",
        "model",
        "steps",
        "label",
        "cfg",
        "sampler",
        "loras",
    ]
    one = {key: f"a{key}" for key in keys}
    two = {key: f"b{key}" for key in reversed(keys)}
    first = (
        "alabel · amodel · loras aloras · cfg acfg · steps asteps · asampler · seed aseed · atool"
        " · rating arating\naprompt"
    )
    assert smart_labels([one, two]).texts[0] == first
    assert smart_labels([two, one]).texts[1] == first


def test_an_image_that_lacks_a_key_differs_in_it() -> None:
    labels = smart_labels([{"seed": "1", "loras": "fur:1"}, {"seed": "1"}])
    assert (labels.header, labels.texts) == ("seed 1", ("loras fur:1", ""))


def test_an_image_of_which_nothing_is_known_does_not_count() -> None:
    labels = smart_labels([{"seed": "1", "cfg": "7"}, {}, {"seed": "2", "cfg": "7"}])
    assert (labels.header, labels.texts) == ("cfg 7", ("seed 1", "", "seed 2"))


@pytest.mark.parametrize("known", [[], [{}], [{}, {}]])
def test_of_nothing_there_is_nothing_to_show(known: list[dict[str, str]]) -> None:
    labels = smart_labels(known)
    assert (labels.header, set(labels.texts)) == ("", {""} if known else set())


def test_one_word_for_sampler_and_scheduler_is_said_once() -> None:
    one = {"sampler": "euler_a", "scheduler": "euler_a", "seed": "1"}
    assert smart_labels([one, {**one, "seed": "2"}]).header == "euler_a"


def test_a_common_prompt_stands_in_the_header_on_one_line() -> None:
    one = {"prompt": "a fox,\nin snow", "negative_prompt": "blurry", "seed": "1", "steps": "9"}
    labels = smart_labels([one, {**one, "seed": "2"}])
    assert labels.header == "steps 9\na fox, in snow · negative: blurry"


@pytest.mark.parametrize(
    ("prompts", "header", "texts"),
    [
        (
            ["a photo of a red fox in snow, 8k", "a photo of a blue owl in snow, 8k"],
            "a photo of a … in snow, 8k",
            ("… red fox …", "… blue owl …"),
        ),
        (
            ["a photo of a fox", "a photo of a owl"],
            "a photo of a …",
            ("… fox", "… owl"),
        ),
        (
            ["fox in deep snow", "owl in deep snow"],
            "… in deep snow",
            ("fox …", "owl …"),
        ),
        (["a fox", "a owl"], "", ("a fox", "a owl")),
        (["a red fox", "a red owl"], "", ("a red fox", "a red owl")),
        (["one two three", "one two three four"], "one two three …", ("…", "… four")),
    ],
)
def test_prompts_that_are_mostly_alike_show_where_they_are_not(
    prompts: list[str], header: str, texts: tuple[str, ...]
) -> None:
    labels = smart_labels([{"prompt": prompt} for prompt in prompts])
    assert (labels.header, labels.texts) == (header, texts)
