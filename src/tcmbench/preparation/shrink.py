"""The image cache: smaller copies that are quicker to decode than what was published."""

from dataclasses import dataclass
from io import BytesIO

# Bytes of one 256 x 341 file, by measurement on synthetic photographs of 500 x 375 pixels
# (preflight/photographs.py), which have more detail than most real ones.
MEAN_BYTES = 89_000
MEASURED_AT = 256


@dataclass(frozen=True)
class Cache:
    """How images are made smaller: to `short_side` pixels, as JPEG. Recorded with the tables."""

    short_side: int
    quality: int = 95
    subsampling: str = "4:4:4"
    resample: str = "bilinear"

    def mean_bytes(self) -> int:
        """Estimate the mean size of a file: it grows with the area."""
        return round(MEAN_BYTES * (self.short_side / MEASURED_AT) ** 2)

    def shrunk(self, content: bytes) -> bytes:
        """Return an image file with its short side reduced; one that is small enough, as it is.

        Sizes and pixels are those of torchvision.transforms.Resize on a Pillow image.

        Raises:
            UnreadableError: it is no image by the policy of `tcmbench.images.pictures`.
        """
        from PIL import Image

        from tcmbench.images.pictures import open_rgb

        image = open_rgb(BytesIO(content))
        short = min(image.size)
        if short <= self.short_side:
            return content
        size = (self.short_side * image.width // short, self.short_side * image.height // short)
        small = image.resize(size, Image.Resampling[self.resample.upper()])
        stream = BytesIO()
        small.save(stream, "JPEG", quality=self.quality, subsampling=self.subsampling)
        return stream.getvalue()
