"""`last.ckpt`: the full state of a training, so that it continues where it was killed."""

import sys
import zipfile
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import torch

from tcmbench.common.differences import Flat as Identity
from tcmbench.common.differences import changed, flat
from tcmbench.common.files import atomic_path, sha256
from tcmbench.common.sources import PACKAGE, sources
from tcmbench.losses import FOLDER
from tcmbench.training.crew import ALONE, Crew
from tcmbench.training.settings import Settings

NAME = "last.ckpt"

# What decides gradients up to rounding alone: a run may go on with another, on another device.
# With batch norms that learn it decides what they see.
CHUNKS = ("optimization.chunk_size", "optimization.kept_chunks")

# As in `packages` of workflow/rules/versions.smk: they decide numbers.
PACKAGES = ("numpy", "pillow", "timm", "torchvision")


def identity(
    settings: Settings, device: torch.device, precision: str, crew: Crew = ALONE
) -> Identity:
    """Return all that decides the weights, by name: settings, hashes of inputs and code, packages.

    How many images are embedded at once is no part of it, unless batch norms learn.
    """
    loss = settings.loss.file or FOLDER / f"{settings.loss.name}.py"
    own = [] if settings.loss.class_path else sources(loss)
    code = {*sources(Path(__file__).with_name("loop.py")), *own}
    data = {"manifest": settings.manifest, "start weights": settings.weights}
    free = CHUNKS if settings.model.freeze_batch_norm else ()
    return {
        **{k: v for k, v in flat(settings.to_json()).items() if k not in free},
        **{f"the file of the {name}": sha256(path) for name, path in data.items() if path},
        **{f"the code in {_short(path)}": sha256(path) for path in sorted(code)},
        "torch": str(torch.__version__),
        **{name: version(name) for name in PACKAGES},
        "the kind of device": device.type,
        "the precision": precision,
        "the number of processes": str(crew.size),
    }


def save(folder: Path, parts: Identity, state: dict[str, Any]) -> None:
    """Write the state of a training, atomically.

    Args:
        folder: the run's folder.
        parts: `identity` of the run.
        state: tensors, numbers, texts, and containers of them.
    """
    with atomic_path(folder / NAME) as temporary:
        torch.save({"identity": parts, "state": state}, temporary)


def restore(folder: Path, parts: Identity) -> dict[str, Any] | None:
    """Return the state of an interrupted training of the same run.

    None where there is nothing to continue. A checkpoint that is damaged or belongs to another run
    is set aside, and standard error says which part differs.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        _check_sums(path)
        saved = _loaded(path)
    except Exception as error:  # torch.load raises half a dozen kinds for a damaged file
        set_aside(folder, f"is damaged ({_first_line(error)})")
        return None
    changes = differences(saved.get("identity"), parts)
    if changes:
        more = f" ({len(changes) - 1} more differences)" if len(changes) > 1 else ""
        set_aside(folder, f"is of another run: {changes[0]}{more}")
        return None
    state: dict[str, Any] = saved["state"]
    return state


def _loaded(path: Path) -> dict[str, Any]:
    saved: Any = torch.load(path, weights_only=True, map_location="cpu")
    # One that does not say whose it is is refused as such.
    whole = isinstance(saved, dict) and {"identity", "state"} & saved.keys() != {"identity"}
    if not whole or not isinstance(saved.get("identity", {}), dict):
        raise ValueError("it holds something else")
    return dict(saved)


def set_aside(folder: Path, why: str) -> None:
    """Give a checkpoint that is not continued another name, since it may be the work of hours."""
    path = folder / NAME
    if not path.exists():
        return
    taken = {other.name for other in folder.glob(f"{NAME}.*")}
    number = next(number for number in count(1) if f"{NAME}.{number}" not in taken)
    print(f"{path} {why}; kept as {NAME}.{number}, starting over", file=sys.stderr)
    path.rename(path.with_name(f"{NAME}.{number}"))


def _check_sums(path: Path) -> None:
    """Compare the checksums that `torch.save` writes and `torch.load` does not look at."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"bad checksum of {damaged}")


def differences(old: Identity | None, new: Identity) -> list[str]:
    """Say what differs between two identities, settings first."""
    if old is None:
        return ["it does not say of which"]
    names = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    return [_difference(name, old.get(name), new.get(name)) for name in names]


def remove(folder: Path) -> None:
    """Delete the checkpoint of a training that has ended, and what a kill left of a newer one."""
    for path in (folder / NAME, *folder.glob(".last.*.ckpt")):
        path.unlink(missing_ok=True)


def _difference(name: str, old: str | None, new: str | None) -> str:
    if name.startswith(("the file", "the code")):
        return f"{name} has changed"
    return changed(name, old, new)


def _short(path: str) -> str:
    file = Path(path)
    return file.relative_to(PACKAGE.parent).as_posix() if PACKAGE in file.parents else file.name


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
