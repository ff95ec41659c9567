"""Measure threshold consistency (OPIS) and retrieval quality of a file of embeddings.

Usage: python src/evaluate.py --embeddings FILE.npz --out metrics.json [--utility utility.parquet]
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.errors import UserError, run_command

if TYPE_CHECKING:
    from tcmbench.metrics import OpisResult

NEIGHBOURS = (1, 2, 4, 8, 10, 16, 32, 100, 1000)
FAR_RANGE = (0.01, 0.1)
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
    add = root.add_argument
    add(
        "--embeddings",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="arrays 'embeddings' [N, D] (any length, normalised here) and integer 'labels' [N]",
    )
    add("--out", type=Path, required=True, metavar="FILE.json", help="where the metrics go")
    add("--utility", type=Path, metavar="FILE.parquet", help="also write each class's curves here")
    _add_definition(root)
    add(
        "--device",
        choices=("cpu", "cuda"),
        help="where to compute, with the same result (default: cuda where there is one)",
    )
    return root


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
    """Read the embeddings, measure, and write the curves first and the metrics last."""
    from tcmbench.files import atomic_path, write_json
    from tcmbench.metrics.archive import read_embeddings, write_utility

    if arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a folder; name a file in it")
    embeddings, labels = read_embeddings(arguments.embeddings)
    with ExitStack() as outputs:
        # Opened before the work, so that an unwritable folder costs no computing, and renamed in
        # reverse: whoever sees the metrics finds the curves in place.
        out = outputs.enter_context(atomic_path(arguments.out))
        curves = (
            outputs.enter_context(atomic_path(arguments.utility)) if arguments.utility else None
        )
        try:
            metrics, result = measure(embeddings, labels, arguments)
        except UserError as error:
            raise UserError(f"{arguments.embeddings}: {error}") from None
        if curves is not None:
            write_utility(curves, result)
        write_json(out, metrics)


def measure(
    embeddings: Any, labels: Any, arguments: argparse.Namespace
) -> tuple[dict[str, Any], "OpisResult"]:
    """Return the content of metrics.json, and the curves behind it."""
    import torch

    from tcmbench.files import sha256
    from tcmbench.metrics import map_at_r, opis, recall_at_k
    from tcmbench.provenance import provenance

    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    far = None if arguments.frr else tuple(arguments.far or FAR_RANGE)
    result = opis(
        embeddings,
        labels,
        far_range=far or FAR_RANGE,
        beta=arguments.beta,
        epsilon=arguments.epsilon,
        num_thresholds=arguments.thresholds,
        frr_range=arguments.frr,
        device=device,
    )
    neighbours = [k for k in NEIGHBOURS if k < result.num_images]
    recall = recall_at_k(embeddings, labels, neighbours, device=device)
    metrics = {
        "recall_at_1": recall[1],
        "recall_at_k": recall,
        "map_at_r": map_at_r(embeddings, labels, device=device),
        **{name: getattr(result, name) for name in FROM_OPIS},
        "epsilon": arguments.epsilon,
        "far_range": far,
        "frr_range": arguments.frr,
        "beta": arguments.beta,
        "num_thresholds": arguments.thresholds,
        "provenance": {**provenance(), "embeddings_sha256": sha256(arguments.embeddings)},
    }
    return metrics, result


if __name__ == "__main__":
    run_command(parser(), command)
