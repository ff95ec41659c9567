"""Measure threshold consistency (OPIS) and retrieval quality of a file of embeddings.

Usage: python src/evaluate.py --embeddings FILE.npz --out metrics.json [--utility utility.parquet]
       python src/evaluate.py --embeddings E.npy --labels L.npy --out metrics.json
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError

if TYPE_CHECKING:
    from tcmbench.metrics import PairErrorRates, PairEvaluation

NEIGHBOURS = (1, 2, 4, 8, 10, 16, 32, 100, 1000)
FAR_RANGE = (0.01, 0.1)
CURVE_POINTS = 101
FROM_OPIS = (
    "opis",
    "epsilon_opis",
    "d_min",
    "d_max",
    "num_images",
    "num_classes",
    "num_excluded_classes",
)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    _add_files(root)
    _add_definition(root)
    _add_running(root)
    return root


def _add_files(root: argparse.ArgumentParser) -> None:
    """Add what is read and written."""
    for name, metavar, required, meaning in (
        (
            "--embeddings",
            "FILE.npz",
            True,
            "arrays 'embeddings' [N, D] (any length, normalised here) and integer 'labels' [N]; "
            "or FILE.npy, the embeddings alone",
        ),
        ("--labels", "FILE.npy", False, "integer labels [N], where --embeddings is a .npy"),
        ("--out", "FILE.json", True, "where the metrics go"),
        ("--utility", "FILE.parquet", False, "also write each class's curves here"),
        ("--curves", "FILE.parquet", False, "also the curves over all distances, 0 to 2"),
        ("--classes", "FILE.parquet", False, "also write each class's images and recall@1 here"),
    ):
        root.add_argument(name, type=Path, required=required, metavar=metavar, help=meaning)


def _add_running(root: argparse.ArgumentParser) -> None:
    """Add where and how to compute."""
    where = "where to compute, with the same result (default: cuda where there is one)"
    root.add_argument("--device", choices=("cpu", "cuda"), help=where)
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
    """Read the embeddings, measure, and write the tables first and the metrics last."""
    from tcmbench.common.devices import claim_kind
    from tcmbench.common.files import atomic_path, write_json
    from tcmbench.metrics.estimate.budget import Asked, check
    from tcmbench.metrics.io.archive import (
        read_embeddings,
        write_classes,
        write_curves,
        write_utility,
    )
    from tcmbench.metrics.map_search import chosen_search
    from tcmbench.metrics.search.field_recall import is_searched

    if arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a folder; name a file in it")
    embeddings, labels = read_embeddings(arguments.embeddings, arguments.labels)
    with ExitStack() as outputs:
        # Opened before the work, so that an unwritable folder costs no computing, and renamed in
        # reverse: whoever sees the metrics finds the tables in place.
        out, utility, curves, classes = (
            path and outputs.enter_context(atomic_path(path))
            for path in (arguments.out, arguments.utility, arguments.curves, arguments.classes)
        )
        try:
            device = claim_kind(arguments.device)
            arguments.map_at_r = arguments.map_at_r or chosen_search(len(embeddings), device)
            points = CURVE_POINTS if curves else 0
            flat = is_searched(len(embeddings))
            asked = Asked(arguments.thresholds, arguments.map_at_r, points, flat)
            check(embeddings, labels, device, asked, arguments.max_hours)
            metrics, found = measure(embeddings, labels, device, arguments)
            if curves:
                write_curves(curves, whole_curves(embeddings, labels, device), arguments.beta)
        except UserError as error:
            raise UserError(f"{arguments.embeddings}: {error}") from None
        if utility:
            write_utility(utility, found.consistency)
        if classes:
            write_classes(classes, found.recall_by_class)
        write_json(out, metrics)


def measure(
    embeddings: Any, labels: Any, device: str, arguments: argparse.Namespace
) -> tuple[dict[str, Any], "PairEvaluation"]:
    """Return the content of metrics.json, and what it was made of."""
    from tcmbench.common.files import sha256
    from tcmbench.common.origin import read_origin
    from tcmbench.common.provenance import provenance
    from tcmbench.metrics import distance_to_cosine
    from tcmbench.metrics.map_search import searched_map_at_r
    from tcmbench.metrics.search.field_recall import field_recall_at_1

    far = None if arguments.frr else tuple(arguments.far or FAR_RANGE)
    found = one_pass(embeddings, labels, device, arguments)
    result = found.consistency
    field_recall, field_search = field_recall_at_1(embeddings, labels, device)
    files = {"embeddings": arguments.embeddings, "labels": arguments.labels}
    metrics = {
        "recall_at_1": found.recall[1],
        "recall_at_1_faiss": field_recall,
        "recall_at_k": found.recall,
        **searched_map_at_r(embeddings, labels, arguments.map_at_r, device),
        **{name: getattr(result, name) for name in FROM_OPIS},
        "cosine_range": [distance_to_cosine(end) for end in (result.d_min, result.d_max)],
        "epsilon": arguments.epsilon,
        "far_range": far,
        "frr_range": arguments.frr,
        "beta": arguments.beta,
        "num_thresholds": arguments.thresholds,
        "provenance": provenance()
        | {"faiss": field_search}
        | {f"{name}_sha256": sha256(file) for name, file in files.items() if file}
        | {"weights_sha256": read_origin(arguments.embeddings)},
    }
    return metrics, found


def whole_curves(embeddings: Any, labels: Any, device: str) -> "PairErrorRates":
    """Count each class's errors at distances from 0 to 2, in a pass of their own."""
    import numpy as np

    from tcmbench.common.progress import Progress
    from tcmbench.metrics import error_rates

    thresholds, count = np.linspace(0, 2, CURVE_POINTS), len(embeddings)
    with Progress(count * (count - 1) // 2, "pairs", "curves") as progress:
        return error_rates(embeddings, labels, thresholds, device=device, report=progress.update)


def one_pass(
    embeddings: Any, labels: Any, device: str, arguments: argparse.Namespace
) -> "PairEvaluation":
    """Go over all pairs, with a line of progress where it takes long."""
    from tcmbench.common.progress import Progress
    from tcmbench.metrics import evaluate_all_pairs

    count = len(embeddings)
    with Progress(count * (count - 1) // 2, "pairs", "evaluate") as progress:
        return evaluate_all_pairs(
            embeddings,
            labels,
            [k for k in NEIGHBOURS if k < count],
            far_range=tuple(arguments.far or FAR_RANGE),
            beta=arguments.beta,
            epsilon=arguments.epsilon,
            num_thresholds=arguments.thresholds,
            frr_range=arguments.frr,
            device=device,
            report=progress.update,
        )


if __name__ == "__main__":
    run_command(parser(), command)
