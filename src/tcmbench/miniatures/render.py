"""From scans of digits to a small colour photograph of the number they spell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Scan = NDArray[np.float64]

# The digits stay inside this share of the short side, so that the usual evaluation, which resizes
# the short side and crops 7/8 of it from the centre, cuts none of them.
FRAME = 0.84
# Least distance in luminance (0 to 255) between the ink and the paper under it.
CONTRAST = 80.0

_LUMINANCE = (0.299, 0.587, 0.114)
_SCAN_SIDE = 8
_PADDING = 2
# A scan's ink fills 6 of its 8 columns: boxes overlap by their empty margins.
_BOX_WIDTH = 1.2
_BOX_HEIGHT = 1.5
# Enlarged 8x8 scans are soft; this curve over ink 0..255 gives strokes back their edges.
_SHARPEN = [round(255 * min(max((level - 60) / 110, 0.0), 1.0)) for level in range(256)]


@dataclass(frozen=True)
class Style:
    """How one data set's photographs look; colours are RGB, 0 to 255.

    Attributes:
        height: pixels.
        width: pixels.
        papers: colours of the background; each must differ from some ink by `CONTRAST`.
        inks: colours of the digits.
        shade: unevenness of the background's light, standard deviation in grey levels.
        noise: noise of each pixel, standard deviation in grey levels.
        clutter: number of faint strokes and blobs under the digits.
        grey: share of the photographs without colour (one channel), 0 to 1.
    """

    height: int
    width: int
    papers: tuple[Colour, ...]
    inks: tuple[Colour, ...]
    shade: float
    noise: float
    clutter: int
    grey: float = 0.0


def luminance(colour: Colour) -> float:
    """Return the brightness of a colour, 0 to 255 (ITU-R BT.601 weights)."""
    return sum(weight * part for weight, part in zip(_LUMINANCE, colour, strict=True))


def frame(style: Style) -> tuple[int, int, int, int]:
    """Return the central square that holds the digits: left, top, right, bottom in pixels."""
    side = FRAME * min(style.height, style.width)
    left, top = (style.width - side) / 2, (style.height - side) / 2
    return round(left), round(top), round(left + side), round(top + side)


def compose(scans: Sequence[Scan], style: Style, rng: np.random.Generator) -> Image.Image:
    """Draw scans (each [8, 8], ink 0 to 1) side by side, left to right, as one photograph.

    Returns:
        An image of `style.width` x `style.height`, mode RGB, or L for a share `style.grey`.
    """
    paper = style.papers[rng.integers(len(style.papers))]
    readable = [ink for ink in style.inks if abs(luminance(ink) - luminance(paper)) >= CONTRAST]
    ink = readable[rng.integers(len(readable))]
    picture = Image.new("RGB", (style.width, style.height), paper)
    _add_clutter(picture, paper, style, rng)
    picture = _add_light(picture, style, rng)
    picture.paste(ink, mask=_ink_mask(scans, style, rng))
    picture = _add_noise(picture, style, rng)
    return picture.convert("L") if rng.random() < style.grey else picture


def _ink_mask(scans: Sequence[Scan], style: Style, rng: np.random.Generator) -> Image.Image:
    """Place the enlarged scans in the frame; returns ink 0 to 255 in mode L."""
    side = FRAME * min(style.height, style.width)
    pitch = side / max(len(scans), 2) * rng.uniform(0.88, 1.0)
    # A number shorter than the frame stands anywhere in it.
    slack_x = (side - len(scans) * pitch) / 2
    slack_y = (side - _BOX_HEIGHT * pitch) / 2
    first = style.width / 2 + rng.uniform(-slack_x, slack_x) - (len(scans) - 1) * pitch / 2
    middle = style.height / 2 + rng.uniform(-slack_y, slack_y) * 0.7
    mask = Image.new("L", (style.width, style.height))
    for place, scan in enumerate(scans):
        centre = first + place * pitch, middle
        mask = ImageChops.lighter(mask, _enlarge(scan, centre, pitch, mask.size, rng))
    return mask.point(_SHARPEN)


def _enlarge(
    scan: Scan,
    centre: tuple[float, float],
    pitch: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Image.Image:
    """Return one scan, slightly turned, scaled and shifted, on an empty canvas of `size`."""
    # A border of paper: without it the cubic filter would end in hard edges.
    levels = np.pad(np.round(scan * 255).astype(np.uint8), _PADDING)
    angle = np.radians(rng.uniform(-9, 9))
    across = _SCAN_SIDE / (_BOX_WIDTH * pitch * rng.uniform(0.92, 1.04))
    down = _SCAN_SIDE / (_BOX_HEIGHT * pitch * rng.uniform(0.9, 1.04))
    x = centre[0] + rng.uniform(-0.04, 0.04) * pitch
    y = centre[1] + rng.uniform(-0.06, 0.06) * pitch
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    # Pillow asks for the way back: where in the scan does a pixel of the canvas come from?
    a, b = cosine * across, sine * across
    d, e = -sine * down, cosine * down
    middle = _SCAN_SIDE / 2 + _PADDING
    coefficients = (a, b, middle - a * x - b * y, d, e, middle - d * x - e * y)
    return Image.fromarray(levels).transform(
        size, Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BICUBIC
    )


def _add_clutter(
    picture: Image.Image, paper: Colour, style: Style, rng: np.random.Generator
) -> None:
    """Draw faint strokes and blobs, all nearer to the paper than any ink may be."""
    draw = ImageDraw.Draw(picture)
    for _ in range(style.clutter):
        x0, x1 = sorted(rng.uniform(-4, style.width + 4, 2).tolist())
        y0, y1 = rng.uniform(-4, style.height + 4, 2).tolist()
        colour = _near(paper, rng)
        if rng.random() < 0.5:
            draw.line((x0, y0, x1, y1), fill=colour, width=int(rng.integers(1, 4)))
        else:
            radius = rng.uniform(2, 7)
            draw.ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill=colour)


def _near(paper: Colour, rng: np.random.Generator) -> Colour:
    """Return a random colour whose luminance is within a third of `CONTRAST` of the paper's."""
    base = np.array(paper)
    # Clipped first: clipping afterwards could carry the luminance over the limit.
    offset = (base + rng.uniform(-60, 60, 3)).clip(0, 255) - base
    excess = abs(float(np.dot(_LUMINANCE, offset))) / (CONTRAST / 3)
    red, green, blue = (base + offset / max(excess, 1.0)).astype(int).tolist()
    return red, green, blue


def _add_light(picture: Image.Image, style: Style, rng: np.random.Generator) -> Image.Image:
    """Make the light uneven: a smooth random field over the whole picture."""
    coarse = Image.fromarray(rng.normal(0, style.shade, (3, 3)).astype(np.float32))
    field = np.asarray(coarse.resize(picture.size, Image.Resampling.BICUBIC))
    return _clipped(np.asarray(picture) + field[..., None])


def _add_noise(picture: Image.Image, style: Style, rng: np.random.Generator) -> Image.Image:
    shape = (style.height, style.width, 3)
    grain = rng.standard_normal(shape, dtype=np.float32) * np.float32(style.noise)
    return _clipped(np.asarray(picture) + grain)


def _clipped(levels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))
