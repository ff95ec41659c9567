"""Runs into a bundle."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench import __version__
from tcmbench.bundles.private import is_absolute, scrubbed
from tcmbench.bundles.sealed import seal
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256, write_json
from tcmbench.common.provenance import provenance
from tcmbench.evaluation import Definition, measure, whole_curves
from tcmbench.metrics.io.written import write_classes, write_curves, write_utility
from tcmbench.tables.contributed import hardware_of
from tcmbench.tables.runs import MeasuredRun, read_runs

FORMAT = 1
TABLES = ("utility.parquet", "curves.parquet", "classes.parquet")
NEEDED = ("run.json", "metrics.json", *TABLES, "embeddings.npz")
OPTIONAL = ("log.csv",)
PRECISIONS = ("float16", "float32")
# Measures whose change by rounding the embeddings is stated.
STATED = ("recall_at_1", "map_at_r", "opis", "epsilon_opis")
LONGEST_NAME = 80


def pack(
    folders: Sequence[Path], out: Path, by: str, precision: str = "float16", device: str = "cpu"
) -> list[dict[str, Any]]:
    """Pack run folders into one sealed file.

    Embeddings in float16 are half the size; all is then measured anew from what is packed, and the
    bundle states by how much that changes each measure and each number.

    Args:
        folders: of the runs, {dataset}/{backbone}/{loss}/{base|tcm}/seed{number}.
        out: the bundle.
        by: who measured, as it will stand beside the results.
        precision: of the embeddings, `float16` or `float32`.
        device: where to measure.

    Returns:
        What the bundle says of each run.

    Raises:
        UserError: a file of a run is missing, a path is absolute, or as `read_runs`.
    """
    if not by.strip() or len(by) > LONGEST_NAME or not by.isprintable():
        raise UserError(f"--by is '{by}'; name in one line of {LONGEST_NAME} letters who measured")
    runs = read_runs(folders)
    _check_files(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle.", dir=out.parent) as name:
        staged = Path(name)
        said = [_packed(run, staged, precision, device) for run in runs]
        hardware = {hardware_of(run.record) for run in runs}
        content = {
            "format": FORMAT,
            "by": by.strip(),
            "hardware": sorted(hardware),
            "tcm_bench": __version__,
            "runs": said,
        }
        write_json(staged / "bundle.json", content)
        seal(staged, out)
    return said


def _check_files(runs: Sequence[MeasuredRun]) -> None:
    for run in runs:
        for name in NEEDED:
            if not (run.folder / name).is_file():
                raise UserError(
                    f"{run.folder / name} does not exist; finish the run, or evaluate it with "
                    "--utility, --curves and --classes, before it is bundled"
                )


def _packed(run: MeasuredRun, staged: Path, precision: str, device: str) -> dict[str, Any]:
    """Put the files of a run into the staging folder, and say what was done to its embeddings."""
    name = "/".join(run.folder.absolute().parts[-5:])
    folder = staged / "runs" / name
    folder.mkdir(parents=True)
    write_json(folder / "run.json", scrubbed(run.record))
    for optional in OPTIONAL:
        if (run.folder / optional).is_file():
            shutil.copyfile(run.folder / optional, folder / optional)
    _pack_weights(run, staged)
    arrays = _arrays(run.folder / "embeddings.npz")
    stored = arrays["embeddings"]
    said = {"run": name, "embeddings": str(stored.dtype), "largest_error": 0.0, "changes": None}
    if precision == "float32" or stored.dtype == np.float16:
        for kept in (*TABLES, "embeddings.npz"):
            shutil.copyfile(run.folder / kept, folder / kept)
        write_json(folder / "metrics.json", scrubbed(run.metrics))
        return said
    rounded = stored.astype(np.float16)
    with (folder / "embeddings.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=False, **(arrays | {"embeddings": rounded}))
    metrics = _measured_anew(run, folder, rounded, arrays["labels"], device)
    return said | {
        "embeddings": "float16",
        "largest_error": float(np.abs(rounded.astype(np.float64) - stored).max()),
        "changes": {
            key: None if run.metrics.get(key) is None else metrics[key] - run.metrics[key]
            for key in STATED
            if metrics.get(key) is not None
        },
    }


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for one in arrays.get("paths", ()):
        if is_absolute(str(one)):
            raise UserError(
                f"{path} holds the absolute path '{one}', which would tell of your machine; embed "
                "from a manifest whose paths are relative to --images"
            )
    return arrays


def _pack_weights(run: MeasuredRun, staged: Path) -> None:
    """Add what says where the start weights come from, where it is beside the runs."""
    record = run.folder.absolute().parents[5] / "weights" / f"{run.run.backbone}.json"
    if record.is_file():
        write_json(staged / "weights" / record.name, scrubbed(read_json(record)))


def _measured_anew(
    run: MeasuredRun, folder: Path, rows: NDArray[Any], labels: NDArray[Any], device: str
) -> dict[str, Any]:
    definition = Definition.of(run.metrics)
    search = None if run.metrics.get("map_at_r_search") != "none" else "none"
    metrics, found = measure(rows, labels, definition, device, search)
    write_utility(folder / "utility.parquet", found.consistency)
    write_curves(folder / "curves.parquet", whole_curves(rows, labels, device), definition.beta)
    write_classes(folder / "classes.parquet", found.recall_by_class)
    origin = provenance() | {"faiss": metrics.pop("faiss")}
    origin["embeddings_sha256"] = sha256(folder / "embeddings.npz")
    write_json(folder / "metrics.json", scrubbed(metrics | {"provenance": origin}))
    return metrics
