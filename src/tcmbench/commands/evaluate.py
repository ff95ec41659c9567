"""Measure threshold consistency (OPIS) and retrieval quality of a file of embeddings."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.commands._inputs import add_inputs, keys_of
from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    from tcmbench.evaluation import Definition


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__)
    _add_files(root)
    _add_definition(root)
    _add_running(root)
    return root


def _add_files(root: argparse.ArgumentParser) -> None:
    """Add what is read and written."""
    add_inputs(root)
    for name, metavar, required, meaning in (
        ("--out", "FILE.json", True, "where the metrics go"),
        ("--utility", "FILE.parquet", False, "also write each class's curves here"),
        ("--curves", "FILE.parquet", False, "also the curves over all distances, 0 to 2"),
        ("--classes", "FILE.parquet", False, "also write each class's images and recall@1 here"),
    ):
        root.add_argument(name, type=Path, required=required, metavar=metavar, help=meaning)


def _add_running(root: argparse.ArgumentParser) -> None:
    """Add where and how to compute."""
    where = "where to compute, with the same result (default: cuda where there is one)"
    devices = root.add_mutually_exclusive_group()
    devices.add_argument("--device", choices=("cpu", "cuda"), help=where)
    several = "share the passes over all pairs, a process each, with the same result: "
    several += "cuda:0,cuda:1 or cpu,cpu"
    devices.add_argument("--devices", metavar="NAME,NAME", help=several)
    how = "how to search for MAP@R: exactly (default up to 20,000 images), with faiss (default "
    how += "beyond, on a CPU), or not at all"
    root.add_argument("--map-at-r", choices=("exact", "faiss", "none"), help=how)
    limit = "refuse what is estimated to take longer (default: %(default)s)"
    root.add_argument("--max-hours", type=float, default=2.0, metavar="H", help=limit)


def _add_definition(root: argparse.ArgumentParser) -> None:
    """Add what changes the value of OPIS."""
    rates = root.add_mutually_exclusive_group()
    rates.add_argument(
        "--far",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
        help="calibration range: false accept rates over all negative pairs (default: 0.01 0.1)",
    )
    rates.add_argument(
        "--frr",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
        help="instead, false reject rates over all positive pairs; HI sets the lower distance",
    )
    for name, default, meaning in (
        ("--beta", 1.0, "weight of sensitivity against specificity in the utility"),
        ("--epsilon", 0.1, "share of classes that epsilon-OPIS takes as the worst"),
        ("--thresholds", 101, "number of distances in the calibration range"),
    ):
        help_text = f"{meaning} (default: %(default)s)"
        root.add_argument(name, type=type(default), default=default, help=help_text)


def command(arguments: argparse.Namespace) -> None:
    """Read the embeddings, measure, write the tables first and the metrics last, and print."""
    from tcmbench.common.devices import claim_kind, named_devices
    from tcmbench.common.files import atomic_path
    from tcmbench.common.paths import keep_apart
    from tcmbench.common.provenance import write_record
    from tcmbench.evaluation import check_budget, measure, whole_curves
    from tcmbench.evaluation.text import text
    from tcmbench.metrics.io.reading import read_labelled
    from tcmbench.metrics.io.written import write_classes, write_curves, write_utility

    if arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a folder; name a file in it")
    written = (arguments.out, arguments.utility, arguments.curves, arguments.classes)
    keep_apart(written, [arguments.embeddings, arguments.labels])
    source = read_labelled(arguments.embeddings, arguments.labels, keys_of(arguments))
    rows = source.embeddings, source.labels
    with ExitStack() as outputs:
        # Opened before the work, so that an unwritable folder costs no computing, and renamed in
        # reverse: whoever sees the metrics finds the tables in place.
        out, utility, curves, classes = (
            path and outputs.enter_context(atomic_path(path)) for path in written
        )
        try:
            shares = named_devices(arguments.devices)
            device = shares[0].partition(":")[0] if shares else claim_kind(arguments.device)
            definition, search = _definition(arguments), arguments.map_at_r
            hours = arguments.max_hours
            check_budget(*rows, definition, device, search, curves is not None, hours, shares)
            metrics, found = measure(*rows, definition, device, search, shares)
            if curves:
                write_curves(curves, whole_curves(*rows, device, shares), arguments.beta)
        except UserError as error:
            raise UserError(f"{arguments.embeddings}: {error}") from None
        if utility:
            write_utility(utility, found.consistency)
        if classes:
            write_classes(classes, found.recall_by_class, source.names)
        origin = _provenance(arguments, metrics.pop("faiss"), source.weights_sha256)
        write_record(out, metrics | {"provenance": origin})
    print(text(metrics))


def _definition(arguments: argparse.Namespace) -> "Definition":
    from tcmbench.evaluation import FAR_RANGE, Definition

    return Definition(
        far_range=None if arguments.frr else tuple(arguments.far or FAR_RANGE),
        frr_range=tuple(arguments.frr) if arguments.frr else None,
        beta=arguments.beta,
        epsilon=arguments.epsilon,
        num_thresholds=arguments.thresholds,
    )


def _provenance(arguments: argparse.Namespace, faiss: Any, weights: str | None) -> dict[str, Any]:
    from tcmbench.common.files import sha256
    from tcmbench.common.provenance import provenance

    files = {"embeddings": arguments.embeddings, "labels": arguments.labels}
    hashes = {f"{name}_sha256": sha256(file) for name, file in files.items() if file}
    return provenance() | {"faiss": faiss, "weights_sha256": weights} | hashes
