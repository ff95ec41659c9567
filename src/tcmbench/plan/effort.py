"""What a job of the workflow takes against the others, before any has run: for the time left.

No torch: the main process of the workflow may have none.
"""

from tcmbench.common.timeleft import Load
from tcmbench.config.schema import Config

# Seconds of the jobs of the quick suite on two cores, by the beginning of the rule's name.
USUAL = {
    "train_": 12.0,
    "embed": 6.0,
    "evaluate": 3.5,
    "weights": 80.0,
    "figure_": 3.5,
    "page": 3.0,
    "comparisons": 2.5,
    "miniature_": 2.0,
    "claims": 1.5,
    "prepare": 1.0,
    "download": 0.5,
    "deviations": 0.5,
}
UNKNOWN = 2.0
# GFLOP of training on one image, as `plan` counts them; other networks are taken as a ResNet-50.
GFLOP = {"resnet50.tv_in1k": 24.3, "vit_base_patch16_224.augreg_in21k": 105.9}
# Embedding an image takes the forward pass alone.
FORWARD = 1 / 3
# GFLOP a second, and MB a second of downloads and of unpacking; only their proportion counts.
SPEED, BANDWIDTH = 1e5, 20.0


def load(rule: str, backbone: str = "", seconds: float | None = None, mb: float = 0) -> Load:
    """Return the load of a job: trainings of all losses are alike, by backbone.

    Args:
        rule: name of its rule.
        backbone: of what it is.
        seconds: where they are better known than from the quick suite.
        mb: what it writes, in MB.
    """
    known = (value for start, value in USUAL.items() if rule.startswith(start))
    kind = "train" if rule.startswith("train_") else rule
    usual = next(known, UNKNOWN) if seconds is None else seconds
    return Load((kind, backbone), usual + mb / BANDWIDTH)


def training_seconds(settings: Config, images: int) -> float:
    """Return what the networks of the paper take to train, in seconds of an assumed GPU.

    Args:
        settings: of a run, as `train_config` gives them.
        images: in its training half.
    """
    epochs: int = settings["optimization"]["epochs"]
    return epochs * images * _gflop(settings) / SPEED


def embedding_seconds(settings: Config, images: int) -> float:
    """Return the same for embedding the test half of so many images."""
    return images * _gflop(settings) * FORWARD / SPEED


def _gflop(settings: Config) -> float:
    return GFLOP.get(settings["model"]["timm"], GFLOP["resnet50.tv_in1k"])
