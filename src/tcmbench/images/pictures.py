"""What counts as an image, and how its pixels are read: one policy for all stages.

Training, evaluation, the preparation and the image cache all decode by `open_rgb`:

- Formats: JPEG (also with several pictures, MPO), PNG, GIF, BMP and WebP, known by content and not
  by file name. Readers that start other programs, or that hardly anyone needs, stay closed.
- Pixels are as stored: an EXIF orientation is ignored, as the official code does (RS datasets.py),
  and so is an ICC profile.
- Grey, CMYK, palette and one-bit images become RGB by Pillow's `convert`. Alpha is dropped: the
  colour below it counts.
- Of 16 bits a channel the high byte counts, which is what Pillow makes of 16-bit colour; of grey,
  `convert` alone would turn all values above 255 to white.
- The first picture of an animation counts. One pixel is an image.
- Refused: no bytes, corrupt or truncated data, other formats, more than `MOST_PIXELS`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MOST_PIXELS = 89_478_485  # where Pillow begins to warn of decompression bombs: 1/4 GB as RGB

# The bound above refuses what Pillow only warns of.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class UnreadableError(Exception):
    """Why a file is no image by the policy above; who knows its path makes the sentence."""


def open_rgb(source: Path | BinaryIO) -> Image.Image:
    """Decode an image in full, as RGB.

    Raises:
        UnreadableError: the policy refuses it, or the file cannot be read.
    """
    with _opened(source) as image:
        if image.mode.startswith("I;16"):
            # Linear functions are all that Pillow applies to 16 bits; it rounds down.
            return image.point(lambda value: value * (1 / 256)).convert("RGB")
        image.load()
        # Of an image that is RGB already, `convert` would make a copy.
        return image if image.mode == "RGB" else image.convert("RGB")


def check_image(content: bytes) -> None:
    """Make sure that `open_rgb` will accept an image file, in less time than that takes.

    Raises:
        UnreadableError: the policy refuses it.
    """
    with _opened(BytesIO(content)) as image:
        # A JPEG at 1/8 and in grey: all its coefficients are still decoded, but most of the
        # transform is left out. Other formats have no drafts and are decoded in full.
        image.draft("L", (1, 1))
        image.load()


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Image.Image]:
    try:
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(
                    f"{image.width:,} x {image.height:,} pixels, more than {MOST_PIXELS:,}"
                )
            yield image
    # A damaged file makes Pillow's readers raise almost anything.
    except Exception as error:
        raise UnreadableError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format"
    return str(error) or type(error).__name__
