"""How datasets, backbones and losses are called in print, and the order they come in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tcmbench.config.sweeps import leaf, parsed
from tcmbench.config.titles import Titles

if TYPE_CHECKING:
    import pandas as pd

DATASETS = {
    "cub": "CUB-200-2011",
    "cars196": "Cars196",
    "sop": "SOP",
    "inat2018": "iNaturalist-2018",
}
BACKBONES = {"resnet50": "ResNet-50", "vit_b16": "ViT-B/16"}
LOSSES = {"smooth_ap": "Smooth-AP", "recall_at_k": "Recall@k"}
# Beyond the paper's table, whose sixteen rows the names above span.
OTHER_DATASETS = {"mnist": "MNIST"}
OTHER_LOSSES = {
    "proxy_anchor": "Proxy Anchor",
    "multi_similarity": "Multi-Similarity",
    "contrastive": "Contrastive",
    "triplet": "Triplet",
    "circle": "Circle",
    "arc_face": "ArcFace",
}
VARIANTS = {"base": "base loss", "tcm": "base loss + TCM"}
MINIATURE = "miniature"
# The titles above, and over them those of the configuration.
KNOWN: Titles = {
    "datasets": DATASETS | OTHER_DATASETS,
    "backbones": BACKBONES,
    "losses": LOSSES | OTHER_LOSSES,
}
_given: dict[str, Mapping[str, str]] = {}


def use_titles(given: Mapping[str, Mapping[str, str]]) -> None:
    """Let these titles be printed from here on, by kind and name, as `config.titles` has them."""
    _given.clear()
    _given.update(given)


def title(kind: str, name: str) -> str:
    """Return the title of a dataset, backbone or loss; one that has none is shown as it is."""
    return _given.get(kind, {}).get(name) or KNOWN[kind].get(name, name)


def dataset_title(name: str, scale: str) -> str:
    """Return the printed name of a dataset; a miniature never passes as the real one."""
    printed = title("datasets", name)
    return f"{printed} ({MINIATURE})" if scale == MINIATURE else printed


def backbone_title(name: str) -> str:
    """Return the printed name of a backbone."""
    return title("backbones", name)


def loss_title(name: str) -> str:
    """Return the printed name of a loss, with its swept settings."""
    loss, point = parsed(name)
    return ", ".join([title("losses", loss), *(said(*setting) for setting in point.items())])


def said(key: str, value: float) -> str:
    """Return a setting in words, such as "batch size 32"."""
    return f"{leaf(key).replace('_', ' ')} {value:g}"


def row_loss_title(row: "pd.Series[Any]") -> str:
    """Return the same of a row of a table, whose column `setting` has the swept settings."""
    setting = row.get("setting")
    printed = loss_title(str(row["loss"]))
    return f"{printed}, {setting}" if isinstance(setting, str) and setting else printed


def cell_order(dataset: str, backbone: str, loss: str) -> tuple[Any, ...]:
    """Return a sort key: known names in the order above, then the others by alphabet.

    The swept points of a loss follow it, in the order of their values.
    """
    known = ([*DATASETS, *OTHER_DATASETS], list(BACKBONES), [*LOSSES, *OTHER_LOSSES])
    plain, point = parsed(loss)
    names = tuple(
        (names.index(name) if name in names else len(names), name)
        for names, name in zip(known, (dataset, backbone, plain), strict=True)
    )
    return *names, tuple(sorted(point.items()))
