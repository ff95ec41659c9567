"""The tables that list a prepared dataset, and the record of where they come from."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from tcmbench.archives.source import Source
from tcmbench.common.files import atomic_path, sha256
from tcmbench.common.provenance import provenance, write_record
from tcmbench.datasets.base import Reading
from tcmbench.images.manifests import RECORD, Item, write_manifest
from tcmbench.preparation.job import Job
from tcmbench.preparation.receipts import entry, kinds_needed
from tcmbench.preparation.store import Kept, folder_name

TABLES = ("train.csv", "test.csv")


def write_tables(job: Job, reading: Reading, kept: Kept, warnings: Sequence[str]) -> None:
    """Write train.csv, test.csv and, last, manifest.json: while that is absent, they are not whole.

    Args:
        job: what was prepared.
        reading: its images.
        kept: what was noted while they were unpacked.
        warnings: what the record has to keep.
    """
    below = partial(_below, folder_name(job.cache))
    archives = {a.name: _archive(job, a.name, kept.hashes) for a in job.layout.archives}
    (job.manifests / RECORD).unlink(missing_ok=True)
    for table, items in zip(TABLES, (reading.split.train, reading.split.test), strict=True):
        with atomic_path(job.manifests / table) as temporary:
            write_manifest(temporary, map(below, items))
    # A receipt says by `published` only what decided at the download.
    judged = {name: e for name, e in archives.items() if "source" not in e}
    strangers = [name for name, e in judged.items() if e.get("published") is False]
    findings = [f"{name} is not the published file (another hash)" for name in strangers]
    for finding in findings:
        print(f"warning: {job.dataset.title}: {finding}", file=sys.stderr)
    record = _record(job, reading, archives, [*warnings, *findings])
    write_record(job.manifests / RECORD, record | {"unreadable": kept.unreadable})


def is_published(job: Job, name: str, hashes: Mapping[str, str]) -> bool | None:
    """Say whether an archive is the published one; None where nobody knows."""
    found = entry(job.path(name), job.receipts, job.dataset.archive(name), dict(hashes))
    published: bool | None = found.get("published")
    # A receipt of a hash of first use says False, and nothing is known.
    archive = job.dataset.archive(name)
    return published if archive.sha256 or archive.md5 else None


def _below(folder: str, item: Item) -> Item:
    return replace(item, path=f"{folder}/{item.path}")


def _archive(job: Job, name: str, hashes: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    path, archive = job.path(name), job.dataset.archive(name)
    if name in hashes:
        return entry(path, job.receipts, archive, hashes[name])
    # Archives without images are small, so reading them for the hash alone costs little.
    with closing(Source(path, kinds_needed(path, job.receipts, archive))) as source:
        return entry(path, job.receipts, archive, source.hashes())


def _record(
    job: Job, reading: Reading, archives: dict[str, Any], warnings: list[str]
) -> dict[str, Any]:
    return {
        "dataset": {
            "name": job.name,
            "title": job.dataset.title,
            "licence": job.dataset.licence,
            "licence_url": job.dataset.licence_url,
        },
        "layout": job.layout_name,
        "note": reading.note,
        "image_cache": job.cache and asdict(job.cache),
        "counts": asdict(reading.split.counts()),
        "expected_counts": asdict(job.dataset.counts),
        "warnings": warnings,
        "sha256": {table: sha256(job.manifests / table) for table in TABLES},
        "archives": archives,
        "provenance": provenance(),
    }
