"""How datasets, backbones and losses are called in print, and the order they come in."""

DATASETS = {
    "cub": "CUB-200-2011",
    "cars196": "Cars196",
    "sop": "SOP",
    "inat2018": "iNaturalist-2018",
}
BACKBONES = {"resnet50": "ResNet-50", "vit_b16": "ViT-B/16"}
LOSSES = {"smooth_ap": "Smooth-AP", "recall_at_k": "Recall@k"}
VARIANTS = {"base": "base loss", "tcm": "base loss + TCM"}
MINIATURE = "miniature"


def dataset_title(name: str, scale: str) -> str:
    """Return the printed name of a dataset; a miniature never passes as the real one."""
    title = DATASETS.get(name, name)
    return f"{title} ({MINIATURE})" if scale == MINIATURE else title


def backbone_title(name: str) -> str:
    """Return the printed name of a backbone; an unknown one is shown as it is."""
    return BACKBONES.get(name, name)


def loss_title(name: str) -> str:
    """Return the printed name of a loss; an unknown one is shown as it is."""
    return LOSSES.get(name, name)


def cell_order(dataset: str, backbone: str, loss: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key: known names in the order above, then the others by alphabet."""
    known = (list(DATASETS), list(BACKBONES), list(LOSSES))
    return tuple(
        (names.index(name) if name in names else len(names), name)
        for names, name in zip(known, (dataset, backbone, loss), strict=True)
    )
