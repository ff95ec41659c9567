"""`last.ckpt`: the full state of a training, so that it continues where it was killed."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from tcmbench.files import atomic_path, sha256
from tcmbench.losses import FOLDER
from tcmbench.sources import sources
from tcmbench.training.settings import Settings

NAME = "last.ckpt"


def fingerprint(settings: Settings) -> str:
    """Hash all that decides the weights: settings, manifest, start weights, source code."""
    loss = settings.loss.file or FOLDER / f"{settings.loss.name}.py"
    code = [*sources(Path(__file__).with_name("loop.py")), *sources(loss)]
    data = [name for name in (settings.manifest, settings.weights) if name is not None]
    content = {
        "settings": settings.to_json(),
        "files": [sha256(name) for name in (*data, *code)],
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def save(folder: Path, stamp: str, epoch: int, parts: dict[str, Any], curve: list[Any]) -> None:
    """Write the state after `epoch` whole epochs, atomically.

    Args:
        folder: the run's folder.
        stamp: `fingerprint` of the run.
        epoch: epochs done.
        parts: objects with `state_dict()`, by name.
        curve: what was logged of each epoch so far.
    """
    state = {
        "fingerprint": stamp,
        "epoch": epoch,
        "curve": curve,
        **{name: part.state_dict() for name, part in parts.items()},
    }
    with atomic_path(folder / NAME) as temporary:
        torch.save(state, temporary)


def restore(folder: Path, stamp: str, parts: dict[str, Any]) -> tuple[int, list[Any]]:
    """Load the state of an interrupted training of the same run into `parts`.

    Returns:
        Epochs done and the log of them; (0, []) where there is nothing to continue, or where the
        checkpoint belongs to other settings, which is said on standard error.
    """
    path = folder / NAME
    if not path.exists():
        return 0, []
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch.load raises half a dozen kinds for a damaged file
        print(f"{path} is damaged ({error}); starting over", file=sys.stderr)
        return 0, []
    if state.get("fingerprint") != stamp:
        print(f"{path} belongs to other settings, inputs or code; starting over", file=sys.stderr)
        return 0, []
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epoch"]), list(state["curve"])


def remove(folder: Path) -> None:
    """Delete the checkpoint of a training that has ended, and what a kill left of a newer one."""
    for path in (folder / NAME, *folder.glob(".last.*.ckpt")):
        path.unlink(missing_ok=True)
