"""Alpha compositing, used by several model adapters."""

from PIL import Image


def composite_on_white(image: Image.Image) -> Image.Image:
    """Return a new RGB image with the input drawn on a white background."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white
