"""The figures of a suite inside the page, each with the caption of the report.

The page may be sent alone, so it holds every figure: drawings of few strokes as vectors, the others
as pixels at print resolution, with a link to their vectors.
"""

import io
import os
import re
from base64 import b64encode
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.common.errors import UserError
from tcmbench.tables.names import DATASETS, dataset_title

if TYPE_CHECKING:
    from PIL import Image

# The order they come in; names that end in an underscore go on with a dataset.
KINDS = {
    "summary": "Summary of all comparisons",
    "plane": "Comparisons in the plane of OPIS and error",
    "pareto": "OPIS against recognition error",
    "ablation": "Margins and weights of TCM",
    "margins": "Margins, validated on training classes",
    "toy": "Embeddings on the circle",
    "utility_": "Utility of each class",
    "deployer_": "Error rates at one threshold",
    "neighbours_": "Nearest neighbours inside one threshold",
    "training_": "Training curves",
    "entries": "Utility of each class of embeddings made elsewhere",
}
VARIANTS = {"": "pair", "_base": "base", "_tcm": "tcm"}
# Larger drawings are shown as pixels, which are smaller and as sharp on paper.
LARGEST_SVG = 60_000
# Of pixels that WebP does not store smaller without loss: thin lines keep their colour.
LOSSY: dict[str, Any] = {"quality": 44, "method": 6, "use_sharp_yuv": True}
# A .png of this many times the lossy copy is larger without loss: to a half or a third of a .png is
# what WebP comes to, slowly.
TO_TRY = 4
# Pixels of a .png for one of the page, and how much a figure may be enlarged.
DENSITY, ENLARGED = 200 / 96, 1.4


def index_figures(
    folder: Path,
    captions: Path,
    suite: str,
    scale: str,
    beside: Path,
    datasets: Collection[str] = DATASETS,
) -> list[dict[str, Any]]:
    """Return the figures that are in `folder`, in the order of `KINDS`, as their template prints.

    Args:
        folder: figures of the suite, as `src/figures.py` writes them.
        captions: folder with one .rst a figure.
        suite: its name.
        scale: `full`, `miniature` or `own`, for the titles of datasets.
        beside: folder of the page, from which the vector graphics are linked.
        datasets: names that figures may have behind their kind.

    Raises:
        UserError: a figure without its .png, or without a caption.
    """
    names = sorted((path.stem for path in folder.glob("*.svg")), key=_order)
    names = [name for name in names if not re.fullmatch(r"utility_.*_(base|tcm)", name)]
    kinds = []
    for kind, title in KINDS.items():
        chosen = [n for n in names if n == kind or (kind.endswith("_") and n.startswith(kind))]
        figures = [
            {
                "name": name,
                "caption": caption(name, captions, suite, scale, datasets),
                "images": _images(folder / name, beside),
            }
            for name in chosen
        ]
        if figures:
            kinds.append({"title": title, "switched": kind == "utility_", "figures": figures})
    return kinds


def caption(
    name: str, captions: Path, suite: str, scale: str, datasets: Collection[str] = DATASETS
) -> str:
    """Return the caption of a figure as plain text, its placeholders filled in.

    Raises:
        UserError: there is none, or it asks for something else than suite and dataset.
    """
    kind, _, rest = name.partition("_")
    path = captions / f"{kind}.rst"
    known = {
        'config["suite"]': suite,
        "wildcards.dataset": dataset_title(_dataset(rest, datasets), scale),
    }
    try:
        text = path.read_text(encoding="utf-8")
        filled = re.sub(r"{{ snakemake\.(\S+) }}", lambda found: known[found[1]], text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; write the caption of {name}") from None
    except KeyError as error:
        raise UserError(f"{path} asks for {error}; a caption may name suite and dataset") from None
    return " ".join(filled.split())


def _dataset(rest: str, datasets: Collection[str]) -> str:
    """Return the dataset that the rest of a figure's name begins with; it may hold underscores."""
    found = [name for name in datasets if f"{rest}_".startswith(f"{name}_")]
    return max(found, key=len, default=rest)


def _order(name: str) -> tuple[int, str]:
    """Sort by dataset, in the order of print, then by alphabet."""
    known = list(DATASETS)
    dataset = name.partition("_")[2].partition("_")[0]
    return (known.index(dataset) if dataset in known else len(known), name)


def _images(stem: Path, beside: Path) -> list[dict[str, Any]]:
    """Return a figure in each look it comes in."""
    several = stem.with_name(f"{stem.name}_base.svg").exists()
    return [
        _image(stem.with_name(f"{stem.name}{suffix}"), look if several else "", beside)
        for suffix, look in VARIANTS.items()
        if several or look == "pair"
    ]


def _image(stem: Path, look: str, beside: Path) -> dict[str, Any]:
    from PIL import Image

    vector, pixels = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    if not pixels.exists():
        raise UserError(f"{pixels} does not exist; draw it again with src/figures.py")
    with Image.open(pixels) as image:
        width, height = (round(side / DENSITY) for side in image.size)
        small = vector.stat().st_size <= LARGEST_SVG
        kind, content = (
            ("svg+xml", vector.read_bytes()) if small else ("webp", _webp(image, pixels))
        )
    return {
        "name": stem.name,
        "look": look,
        "width": width,
        "height": height,
        "shown": round(width * ENLARGED),
        "source": f"data:image/{kind};base64,{b64encode(content).decode()}",
        "vector": Path(os.path.relpath(vector, beside)).as_posix(),
    }


def _webp(image: "Image.Image", stored: Path) -> bytes:
    """Return the smaller of a lossless and a lossy copy: lines on white, and photographs.

    Args:
        image: the open file.
        stored: its .png, whose size tells when it is not worth to try without loss.
    """
    copies = [_encoded(image, LOSSY)]
    if stored.stat().st_size < TO_TRY * len(copies[0]):
        copies.append(_encoded(image, {"lossless": True}))
    return min(copies, key=len)


def _encoded(image: "Image.Image", options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", **options)
    return file.getvalue()
