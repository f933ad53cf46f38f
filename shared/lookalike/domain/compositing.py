"""What is done to pictures in more than one place."""

from PIL import Image


def composite_on_white(image: Image.Image) -> Image.Image:
    """A new image in RGB, white where the other is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white
