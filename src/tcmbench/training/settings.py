"""What one training needs to know, read from the JSON that `train.py --config` takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tcmbench.errors import UserError
from tcmbench.images import ViewSpec
from tcmbench.models import ModelSpec
from tcmbench.records import build


@dataclass(frozen=True)
class Optimization:
    """Batches and optimiser; learning rate and decay apply to all parameters alike."""

    batch_size: int
    samples_per_class: int
    chunk_size: int
    epochs: int
    milestones: list[int]
    gamma: float
    learning_rate: float
    weight_decay: float
    optimizer: str

    def __post_init__(self) -> None:
        for name in ("batch_size", "samples_per_class", "chunk_size", "epochs"):
            value = getattr(self, name)
            if value < 1:
                raise UserError(f"optimization: '{name}' must be at least 1, not {value}; raise it")


@dataclass(frozen=True)
class LossSpec:
    """A loss by the name of its file, or by a file of the user's own."""

    name: str
    params: dict[str, Any]
    file: str | None = None


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

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"the seed must be at least 0, not {self.seed}; choose another")

    @classmethod
    def from_json(cls, values: Any) -> "Settings":
        """Read settings from a decoded JSON object, or from a whole run.json.

        Raises:
            UserError: an unknown or a missing key.
        """
        if isinstance(values, Mapping) and "config" in values:
            values = values["config"]
        settings = build(cls, values, "training configuration")
        parts: dict[str, type[Any]] = {
            "model": ModelSpec,
            "view": ViewSpec,
            "optimization": Optimization,
            "loss": LossSpec,
        }
        nested: dict[str, Any] = {
            name: build(kind, getattr(settings, name), name) for name, kind in parts.items()
        }
        return cls(**{**values, **nested})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values, as `from_json` takes them."""
        return asdict(self)
