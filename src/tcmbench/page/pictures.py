"""The figures of a suite inside the page, each with the caption of the report."""

import re
import struct
from base64 import b64encode
from html import escape
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.tables.names import DATASETS, dataset_title

# The order they come in; names that end in an underscore go on with a dataset.
KINDS = {
    "summary": "Summary of all comparisons",
    "plane": "Comparisons in the plane of OPIS and error",
    "pareto": "OPIS against recognition error",
    "ablation": "Margins and weights of TCM",
    "toy": "Embeddings on the circle",
    "utility_": "Utility of each class",
    "deployer_": "Error rates at one threshold",
    "neighbours_": "Nearest neighbours inside one threshold",
    "training_": "Training curves",
    "entries": "Utility of each class of embeddings made elsewhere",
}
VARIANTS = {"": "pair", "_base": "base", "_tcm": "tcm"}
# Larger drawings are shown as pixels: thousands of lines make a page slow.
LARGEST_SVG = 300_000
# Pixels of a .png for one of the page, and how much a figure may be enlarged.
DENSITY, ENLARGED = 200 / 96, 1.4
TOGGLE = """<fieldset class="toggle"><legend>Utility curves</legend>
<label><input type="radio" name="tcm" value="pair" checked> base beside +TCM</label>
<label><input type="radio" name="tcm" value="base"> base</label>
<label><input type="radio" name="tcm" value="tcm"> +TCM</label></fieldset>"""


def pictures(folder: Path, captions: Path, suite: str, scale: str) -> str:
    """Return the figures that are in `folder`, in the order of `KINDS`, as HTML.

    Args:
        folder: figures of the suite, as `src/figures.py` writes them.
        captions: folder with one .rst a figure.
        suite: its name.
        scale: `full` or `miniature`, for the names of datasets.

    Raises:
        UserError: a figure without its .png, or without a caption.
    """
    names = sorted((path.stem for path in folder.glob("*.svg")), key=_order)
    names = [name for name in names if not re.fullmatch(r"utility_.*_(base|tcm)", name)]
    parts = []
    for kind, title in KINDS.items():
        chosen = [n for n in names if n == kind or (kind.endswith("_") and n.startswith(kind))]
        if chosen:
            figures = "\n".join(_figure(folder, name, captions, suite, scale) for name in chosen)
            toggle = TOGGLE if kind == "utility_" else ""
            parts.append(f"<h3>{escape(title)}</h3>\n{toggle}\n{figures}")
    return "\n".join(parts)


def caption(name: str, captions: Path, suite: str, scale: str) -> str:
    """Return the caption of a figure as plain text, its placeholders filled in.

    Raises:
        UserError: there is none, or it asks for something else than suite and dataset.
    """
    kind, _, rest = name.partition("_")
    path = captions / f"{kind}.rst"
    known = {
        'config["suite"]': suite,
        "wildcards.dataset": dataset_title(rest.partition("_")[0], scale),
    }
    try:
        text = path.read_text(encoding="utf-8")
        filled = re.sub(r"{{ snakemake\.(\S+) }}", lambda found: known[found[1]], text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; write the caption of {name}") from None
    except KeyError as error:
        raise UserError(f"{path} asks for {error}; a caption may name suite and dataset") from None
    return " ".join(filled.split())


def _order(name: str) -> tuple[int, str]:
    """Sort by dataset, in the order of print, then by alphabet."""
    known = list(DATASETS)
    dataset = name.partition("_")[2].partition("_")[0]
    return (known.index(dataset) if dataset in known else len(known), name)


def _figure(folder: Path, name: str, captions: Path, suite: str, scale: str) -> str:
    text = caption(name, captions, suite, scale)
    images = [
        _image(folder / f"{name}{suffix}", text, f"variant {look}" if several else "")
        for several in [(folder / f"{name}_base.svg").exists()]
        for suffix, look in VARIANTS.items()
        if several or look == "pair"
    ]
    return (
        f'<figure id="{escape(name)}">\n{"".join(images)}\n'
        f"<figcaption>{escape(text)}</figcaption>\n</figure>"
    )


def _image(stem: Path, text: str, look: str) -> str:
    vector, pixels = (stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png"))
    if not pixels.exists():
        raise UserError(f"{pixels} does not exist; draw it again with src/figures.py")
    content = pixels.read_bytes()
    width, height = (round(side / DENSITY) for side in struct.unpack(">II", content[16:24]))
    kind = "png"
    if vector.stat().st_size <= LARGEST_SVG:
        content, kind = vector.read_bytes(), "svg+xml"
    return (
        f'<div class="picture {look}" tabindex="0" role="region" aria-label="{stem.name}">'
        f'<img loading="lazy" width="{width}" height="{height}" alt="{escape(text)}" '
        f'style="width:{round(width * ENLARGED)}px" '
        f'src="data:image/{kind};base64,{b64encode(content).decode()}"></div>'
    )
