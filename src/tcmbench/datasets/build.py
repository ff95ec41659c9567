"""From archives to a folder of images with its two manifests."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tcmbench.datasets import load
from tcmbench.datasets.archives import unpack
from tcmbench.datasets.base import Dataset, Split
from tcmbench.datasets.decode import check_images
from tcmbench.errors import UserError
from tcmbench.files import sha256, write_json
from tcmbench.manifests import Item, write_manifest
from tcmbench.provenance import provenance

IMAGES = "images"
TABLES = ("train.csv", "test.csv")
RECORD = "manifest.json"
HASHED_UP_TO = 64 * 2**20


def build(
    name: str,
    archives: Path,
    out: Path,
    *,
    count_check: bool = True,
    expect: Path | None = None,
) -> None:
    """Fill `out` with images/, train.csv, test.csv and, last of all, manifest.json.

    All is made in a folder beside them first: on failure an earlier result stays as it was. Other
    files in `out` are left alone.

    Args:
        name: the dataset.
        archives: the folder that holds its archives, under their published names.
        out: the folder to fill; made if missing.
        count_check: whether other numbers of images and classes than expected are refused;
            else they become a warning, printed and kept in manifest.json.
        expect: a JSON file whose counts replace the published ones.

    Raises:
        UserError: an archive is missing, damaged or hostile, an image is missing or corrupt,
            classes are in both halves, or the counts are not the expected ones.
    """
    dataset = load(name) if expect is None else load(name).expecting(expect)
    layout = dataset.layout()
    for archive in layout.archives:
        if not (archives / archive.name).is_file():
            raise UserError(
                f"{archives / archive.name} does not exist; fetch it with: python src/download.py "
                f"--dataset {name} --file {archive.name} --out {archives}"
            )
    with _workspace(out) as work:
        reading = layout.read(archives, dataset.counts)
        split = reading.split
        split.check()
        warnings = _compare(split, dataset, count_check)
        for part in reading.images:
            unpack(archives / part.archive, part.root, part.paths, work / IMAGES, part.source)
            check_images(work / IMAGES, part.paths, archives / part.archive)
        for table, items in zip(TABLES, (split.train, split.test), strict=True):
            write_manifest(work / table, map(_below_images, items))
        write_json(work / RECORD, _record(name, dataset, archives, split, work, warnings))
        _publish(work, out)


@contextmanager
def _workspace(out: Path) -> Iterator[Path]:
    # Inside `out`, so that the last step is a rename even where `out` is a disk of its own.
    work = out / ".partial"
    fresh = not out.exists()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if fresh and not any(out.iterdir()):
            out.rmdir()


def _compare(split: Split, dataset: Dataset, count_check: bool) -> list[str]:
    """Return the warnings, which are none where the counts are the expected ones."""
    differences = split.counts().differences(dataset.counts)
    if not differences:
        return []
    finding = f"{dataset.title}: the archives hold {', '.join(differences)}"
    if count_check:
        raise UserError(
            f"{finding}; download them again, or accept a subset on purpose with --no-count-check"
        )
    print(f"warning: {finding}; accepted by --no-count-check", file=sys.stderr)
    return [finding]


def _below_images(item: Item) -> Item:
    return replace(item, path=f"{IMAGES}/{item.path}")


def _record(
    name: str, dataset: Dataset, archives: Path, split: Split, work: Path, warnings: list[str]
) -> dict[str, Any]:
    return {
        "dataset": {
            "name": name,
            "title": dataset.title,
            "licence": dataset.licence,
            "licence_url": dataset.licence_url,
        },
        "counts": asdict(split.counts()),
        "expected_counts": asdict(dataset.counts),
        "warnings": warnings,
        "sha256": {table: sha256(work / table) for table in TABLES},
        "archives": {a.name: _identity(archives / a.name) for a in dataset.layout().archives},
        "provenance": provenance(),
    }


def _identity(archive: Path) -> dict[str, Any]:
    """Return the size in bytes, and the hash where it costs little: download.py checked it."""
    size = archive.stat().st_size
    return {"bytes": size, "sha256": sha256(archive) if size <= HASHED_UP_TO else None}


def _publish(work: Path, out: Path) -> None:
    """Swap the results in; while manifest.json is absent, the folder is not whole."""
    (out / RECORD).unlink(missing_ok=True)
    if (out / IMAGES).exists():
        (out / IMAGES).rename(work / "replaced")
    for name in (IMAGES, *TABLES, RECORD):
        (work / name).replace(out / name)
