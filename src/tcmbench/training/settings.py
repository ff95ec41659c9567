"""What one training needs to know, read from the JSON that `train.py --config` takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tcmbench.common.errors import UserError, nearest
from tcmbench.common.provenance import CUT
from tcmbench.common.records import build
from tcmbench.images.loading import ViewSpec
from tcmbench.models.network import ModelSpec
from tcmbench.training.precision import PRECISIONS

OPTIMIZERS = ("adam", "adamw")

# One image of a class has no positive pair, so a class brings two or more.
LEAST = {"batch_size": 2, "samples_per_class": 2, "chunk_size": 1, "epochs": 1, "kept_chunks": 0}

# As `chunk_size`: the largest that fits the device at hand, see `chunk`.
AUTO = "auto"


@dataclass(frozen=True)
class Optimization:
    """Batches and optimiser; learning rate and decay apply to all parameters alike."""

    batch_size: int
    samples_per_class: int
    epochs: int
    milestones: list[int]
    gamma: float
    learning_rate: float
    weight_decay: float
    optimizer: str
    chunk_size: int | str = AUTO
    kept_chunks: int = 0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if name == "chunk_size" and value == AUTO:
                continue
            if isinstance(value, str) or value < least:
                raise UserError(
                    f"optimization: '{name}' must be at least {least}, not {value}; raise it"
                )
        if self.optimizer not in OPTIMIZERS:
            raise UserError(
                f"optimizer '{self.optimizer}' is unknown; use one of {', '.join(OPTIMIZERS)}"
            )


@dataclass(frozen=True)
class Compute:
    """How a run is computed: rounding depends on it, so it is part of a run.

    `processes` share it, each with a GPU where there are some; None: as many as torchrun started.
    """

    precision: str = "auto"
    compile: bool = False
    processes: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            hint = nearest(self.precision, PRECISIONS)
            raise UserError(f"compute: precision '{self.precision}' is unknown; {hint}")
        if self.processes is not None and self.processes < 1:
            raise UserError(
                f"compute: 'processes' must be at least 1, not {self.processes}; raise it"
            )


@dataclass(frozen=True)
class LossSpec:
    """A loss by the name of its file, by a file of the user's own, or by a package's class."""

    name: str
    params: dict[str, Any]
    file: str | None = None
    class_path: str | None = None


@dataclass(frozen=True)
class Settings:
    """One training, whole: two runs with equal settings and inputs give equal weights."""

    dataset: str
    backbone: str
    variant: str
    scale: str
    seed: int
    manifest: str
    images: str
    weights: str | None
    model: ModelSpec
    view: ViewSpec
    optimization: Optimization
    loss: LossSpec
    regularizer: dict[str, Any] | None
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"the seed must be at least 0, not {self.seed}; choose another")

    @classmethod
    def from_json(cls, values: Any) -> "Settings":
        """Read settings from a decoded JSON object, or from a whole run.json.

        Raises:
            UserError: an unknown or a missing key, or a record that leaves out where a file was.
        """
        if isinstance(values, Mapping) and "config" in values:
            values = values["config"]
        build(cls, values, "training configuration")
        for name in ("manifest", "images", "weights"):
            if str(values[name]).startswith(CUT):
                raise UserError(
                    f"training configuration: a record does not tell the place of '{name}' "
                    f"({values[name]}); write its path in a copy of the record"
                )
        parts: dict[str, type[Any]] = {
            "model": ModelSpec,
            "view": ViewSpec,
            "optimization": Optimization,
            "loss": LossSpec,
            "compute": Compute,
        }
        nested: dict[str, Any] = {
            name: build(kind, values[name], name) for name, kind in parts.items() if name in values
        }
        return cls(**{**values, **nested})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values, as `from_json` takes them."""
        values = asdict(self)
        if self.compute.processes is None:
            del values["compute"]["processes"]
        return values
