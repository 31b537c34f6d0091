"""What is done to a picture before it is placed."""

from PIL import Image, ImageEnhance, ImageFilter

from shared.errors import UnreadableImageError
from shared.job_spec import JobSpec, Preprocessing, ResizeMode
from worker.pipeline.pictures import resized

KERNELS = {
    "sharpen": ImageFilter.SHARPEN,
    "emboss": ImageFilter.EMBOSS,
    "edge_enhance": ImageFilter.EDGE_ENHANCE,
}
ENHANCERS: dict[str, type[ImageEnhance.Brightness | ImageEnhance.Contrast | ImageEnhance.Color]] = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def decode_target(spec: JobSpec) -> tuple[int, int] | None:
    """The size at which a picture may be decoded with no visible difference; None for its own.

    A crop and a filter's reach are given in the picture's own pixels, so they need all of these.
    """
    steps = spec.preprocessing
    if steps.crop is not None:
        return None
    if steps.resize is not None:
        return steps.resize
    if steps.blur or any(getattr(steps, kernel) for kernel in KERNELS):
        return None
    return spec.cell_size


def preprocess(image: Image.Image, steps: Preprocessing, resize_mode: ResizeMode) -> Image.Image:
    """`image`, RGB or RGBA, after the given steps in the order of the fields of `Preprocessing`.

    Raises:
        UnreadableImageError: if the crop lies outside the picture.
    """
    if steps.crop is not None:
        image = _cropped(image, steps.crop)
    if steps.resize is not None:
        image = resized(image, steps.resize, resize_mode)
    if steps.blur:
        image = _blurred(image, steps.blur)
    for name, kernel in KERNELS.items():
        strength = getattr(steps, name)
        if strength:
            image = _filtered(image, kernel, strength)
    for name, enhancer in ENHANCERS.items():
        factor = getattr(steps, name)
        if factor is not None:
            image = enhancer(image).enhance(factor)
    return image


def _cropped(image: Image.Image, crop: tuple[int, int, int, int]) -> Image.Image:
    left, top = (max(0, edge) for edge in crop[:2])
    right, bottom = (min(*sides) for sides in zip(crop[2:], image.size, strict=True))
    if left >= right or top >= bottom:
        width, height = image.size
        raise UnreadableImageError(
            f"the crop {list(crop)} leaves nothing of its {width} x {height} pixels"
        )
    return image.crop((left, top, right, bottom))


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    blur = ImageFilter.GaussianBlur(radius)
    if image.mode == "RGBA":
        # Premultiplied, or the colours hidden under full transparency would bleed out.
        return image.convert("RGBa").filter(blur).convert("RGBA")
    return image.filter(blur)


def _filtered(
    image: Image.Image, kernel: type[ImageFilter.BuiltinFilter], strength: float
) -> Image.Image:
    colors = image if image.mode == "RGB" else image.convert("RGB")
    blended = Image.blend(colors, colors.filter(kernel), strength)
    if image.mode == "RGBA":
        blended.putalpha(image.getchannel("A"))
    return blended
