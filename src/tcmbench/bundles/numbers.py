"""Do the metrics and tables of a run follow from its embeddings?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench.bundles.findings import OPEN, Finding, judged
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256
from tcmbench.evaluation import Definition, measure, whole_curves
from tcmbench.metrics.io.written import write_classes, write_curves, write_utility

# Of float32 products one pair in a million may fall on the other side of a threshold.
RELATIVE, ABSOLUTE = 1e-5, 1e-9
# What another faiss, or a GPU's, finds among nearly equal neighbours.
SEARCHED = 1e-3
TABLES = ("utility.parquet", "curves.parquet", "classes.parquet")
# What metrics.json says besides numbers that are measured.
SAID = ("provenance", "far_range", "frr_range", "map_at_r_search")


def number_findings(run: str, folder: Path, work: Path, device: str) -> Iterator[Finding]:
    """Measure the embeddings of a run again and compare all that its files say.

    Args:
        run: its name.
        folder: its files.
        work: a folder for the tables made anew.
        device: where to measure.
    """
    stated = read_json(folder / "metrics.json")
    with np.load(folder / "embeddings.npz", allow_pickle=False) as archive:
        rows, labels = archive["embeddings"], archive["labels"]
    known = (stated.get("provenance") or {}).get("embeddings_sha256")
    same = known == sha256(folder / "embeddings.npz")
    problem = None if same else "metrics.json was measured from another file of embeddings"
    yield judged(run, "embeddings", problem, f"{len(rows):,} x {rows.shape[1]} {rows.dtype}")
    try:
        definition = Definition.of(stated)
        search = "none" if stated.get("map_at_r_search") == "none" else None
        found, parts = measure(rows, labels, definition, device, search)
    except (UserError, KeyError, TypeError) as error:
        yield judged(run, "metrics", f"they cannot be measured again ({error})")
        return
    yield _metrics(run, stated, found)
    if stated.get("recall_at_1_faiss") is not None and found["recall_at_1_faiss"] is None:
        yield Finding(run, "R@1 by faiss", OPEN, "faiss is not installed here")
    write_utility(work / TABLES[0], parts.consistency)
    write_curves(work / TABLES[1], whole_curves(rows, labels, device), definition.beta)
    write_classes(work / TABLES[2], parts.recall_by_class)
    problems = [
        f"{name}: {why}" for name in TABLES if (why := _differs(folder / name, work / name))
    ]
    yield judged(run, "tables", problems[0] if problems else None, "utility, curves, classes")


def _metrics(run: str, stated: dict[str, Any], found: dict[str, Any]) -> Finding:
    flat, again = _flat(stated), _flat(found)
    missing = sorted(again.keys() - flat.keys() - {"faiss"})
    problems = [f"metrics.json has no '{name}'" for name in missing]
    for name, value in flat.items():
        searched = name == "recall_at_1_faiss" or (
            name == "map_at_r" and "exact" not in (stated["map_at_r_search"],)
        )
        if value is None or (searched and again.get(name) is None):
            continue
        tolerance = SEARCHED if searched else ABSOLUTE
        other = again.get(name)
        if other is None or not np.isclose(value, other, RELATIVE, tolerance):
            problems.append(f"{name} is said to be {value:.9g} but is {_number(other)}")
    return judged(run, "metrics", problems[0] if problems else None, f"{len(again)} numbers")


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.9g}"


def _flat(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Return the measured numbers by name; lists and recalls by name and place."""
    found: dict[str, float | None] = {}
    for name, value in metrics.items():
        if name in SAID or name == "faiss":
            continue
        if isinstance(value, dict):
            found |= {f"{name} {key}": one for key, one in value.items()}
        elif isinstance(value, list | tuple):
            found |= {f"{name} {place}": one for place, one in enumerate(value)}
        else:
            found[name] = value
    return found


def _differs(stated: Path, again: Path) -> str | None:
    """Say how two tables differ, None where they agree."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        tables = [pq.read_table(path) for path in (stated, again)]
    except (pa.ArrowException, OSError) as error:
        return f"it cannot be read ({error})"
    columns, rows = ([table.column_names, table.num_rows] for table in tables)
    if columns != rows:
        return "it has other columns or rows than its embeddings give"
    for name in tables[0].column_names:
        one, other = (_values(table[name]) for table in tables)
        if one.dtype.kind != other.dtype.kind or not _close(one, other):
            return f"column '{name}' does not follow from the embeddings"
    return None


def _values(column: Any) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    return values


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind in "iu":
        return bool((one == other).all())
    return bool(np.allclose(one, other, RELATIVE, 1e-6))
