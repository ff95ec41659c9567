"""Find one global distance threshold for a file of embeddings, and say which classes it fits."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tcmbench.commands._inputs import add_inputs, keys_of
from tcmbench.common.errors import UserError

WRITTEN = (
    *(f"threshold.{suffix}" for suffix in ("json", "html", "svg", "pdf", "png")),
    *("classes.csv", "applied.csv"),
)

if TYPE_CHECKING:
    from tcmbench.advisor import Advice, Drift
    from tcmbench.metrics.io.reading import Labelled


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__)
    add_inputs(root)
    _add_target(root)
    _add_classes(root)
    add = root.add_argument
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="also write threshold.json, threshold.html, a picture and all classes (classes.csv); "
        "for several rates, into a folder each",
    )
    add(
        "--device",
        choices=("cpu", "cuda"),
        help="where to compute, with the same result (default: cuda where there is one)",
    )
    return root


def _add_target(root: argparse.ArgumentParser) -> None:
    """Add what is asked of the threshold, and where else it is used."""
    target = root.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--far",
        type=float,
        nargs="+",
        metavar="RATE",
        help="false accept rates over all negative pairs, not exceeded by one pair",
    )
    target.add_argument(
        "--frr",
        type=float,
        nargs="+",
        metavar="RATE",
        help="instead, false reject rates over positive pairs, not exceeded by one pair",
    )
    root.add_argument(
        "--apply",
        type=Path,
        metavar="FILE.npz",
        help="other embeddings, such as those of a later month: what the threshold does on them",
    )


def _add_classes(root: argparse.ArgumentParser) -> None:
    """Add where names and images of classes come from."""
    root.add_argument(
        "--names",
        type=Path,
        metavar="FILE.csv",
        help="manifest with the columns path, label and class_name; --out shows its images",
    )
    root.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="what the manifest's paths, or those of the embeddings, start from (default: the "
        "manifest's folder)",
    )


def command(arguments: argparse.Namespace) -> None:
    """Print the advice, and write it where a folder was named."""
    from tcmbench.advisor import advise
    from tcmbench.advisor.names import known_classes
    from tcmbench.advisor.text import drift_text, summary, text
    from tcmbench.common.devices import claim_kind
    from tcmbench.common.paths import keep_apart
    from tcmbench.metrics.io.reading import read_labelled

    read = [arguments.embeddings, arguments.labels, arguments.names, arguments.apply]
    keep_apart([out / name for out in _folders(arguments) for name in WRITTEN], read)
    source = read_labelled(arguments.embeddings, arguments.labels, keys_of(arguments))
    names, paths = known_classes(source, arguments.names)
    other = read_labelled(arguments.apply, None, keys_of(arguments)) if arguments.apply else None
    device = claim_kind(arguments.device)
    target = "far" if arguments.far else "frr"
    found = []
    for rate in dict.fromkeys(getattr(arguments, target)):
        try:
            rows = source.embeddings, source.labels
            found.append(advise(*rows, **{target: rate}, names=names, device=device))
        except UserError as error:
            raise UserError(f"{arguments.embeddings}: {error}") from None
    drifts = [
        _drift(arguments.apply, other, one, names, device) if other else None for one in found
    ]
    if arguments.out:
        _write(arguments, found, drifts, paths)
    if len(found) > 1:
        sys.stdout.write(summary(found) + "\n")
    for one, drift in zip(found, drifts, strict=True):
        sys.stdout.write(text(one))
        if drift:
            sys.stdout.write(drift_text(drift, arguments.apply.name))


def _folders(arguments: argparse.Namespace) -> list[Path]:
    """Return the folder that each rate's files go into; several rates have one each."""
    if not arguments.out:
        return []
    target = "far" if arguments.far else "frr"
    rates = list(dict.fromkeys(getattr(arguments, target)))
    alone = len(rates) == 1
    return [arguments.out if alone else arguments.out / f"{target}_{rate:g}" for rate in rates]


def _drift(
    path: Path, other: "Labelled", advice: "Advice", names: dict[int, str], device: str
) -> "Drift":
    from tcmbench.advisor import drift_of

    try:
        # Numbers of texts are those of their own file.
        named = other.names or names
        return drift_of(advice, other.embeddings, other.labels, named, device)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _write(
    arguments: argparse.Namespace,
    found: list["Advice"],
    drifts: list["Drift | None"],
    paths: dict[int, list[str]],
) -> None:
    from tcmbench.advisor.write import write_advice

    below = arguments.images or (arguments.names.parent if arguments.names else None)
    pictures = {} if below is None else {k: [below / one for one in v] for k, v in paths.items()}
    for one, drift, out in zip(found, drifts, _folders(arguments), strict=True):
        applied = (arguments.apply, drift) if drift else None
        write_advice(one, arguments.embeddings, out, pictures, applied)
