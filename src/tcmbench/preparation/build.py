"""From archives to a folder of images with its two manifests."""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.locks import exclusive
from tcmbench.common.paths import keep_apart
from tcmbench.datasets import load
from tcmbench.datasets.base import Dataset, Images, Reading, Split
from tcmbench.images.manifests import RECORD
from tcmbench.images.sums import write_list
from tcmbench.preparation.job import Job, cache_of, present_layout
from tcmbench.preparation.listing import TABLES, is_published, write_tables
from tcmbench.preparation.ownership import refuse_foreign_tables
from tcmbench.preparation.receipts import fingerprint, kinds_needed
from tcmbench.preparation.space import check_space, peak_bytes, used_bytes
from tcmbench.preparation.store import Kept, Store, folder_name, identity_of, lacking
from tcmbench.preparation.unpack import unpack
from tcmbench.preparation.unreadable import finding, read_list, refuse, without


def build(
    name: str,
    archives: Path,
    out: Path,
    *,
    receipts: Path | None = None,
    manifests: Path | None = None,
    layout: str | None = None,
    short_side: int | None = None,
    threads: int | None = None,
    count_check: bool = True,
    disk_check: bool = True,
    expect: Path | None = None,
    skip_unreadable: Path | None = None,
) -> None:
    """Make sure that `out` has the images, and list them in `manifests`.

    Images go to images/ (or images_256/, by `short_side`) with images.json (images_256.json) as
    their record; train.csv, test.csv and, last of all, manifest.json list them by paths relative
    to `out`. Images that are there already, from the same archives, are not unpacked again.
    On failure an earlier result stays as it was; what an earlier call did not write is never
    replaced, and a link in place of the folder of images is kept. Several processes may share
    `out`: one unpacks, the others wait.

    Args:
        name: the dataset.
        archives: the folder that holds its archives, under their published names.
        out: the folder for the images; made if missing.
        receipts: the folder of the archives' receipts; None: `archives`.
        manifests: the folder for the tables; None: `out`.
        layout: the form of the archives; None: the first whose archives are all there.
        short_side: pixels that the short side of larger images is reduced to; None keeps originals.
        threads: images that are worked on at a time; None: one a core.
        count_check: whether other numbers of images and classes than expected are refused;
            else they become a warning, printed and kept in manifest.json.
        disk_check: whether too little free disk is refused.
        expect: a JSON file whose counts and hashes replace the published ones.
        skip_unreadable: a text file with the images that are left out where they cannot be decoded;
            the counts are those of the label files all the same.

    Raises:
        UserError: an archive is missing, damaged or hostile, an image is missing or corrupt,
            classes are in both halves, the counts are not the expected ones, the disk is full, or
            a file that is not ours or is read would be replaced.
    """
    dataset = load(name) if expect is None else load(name).expecting(expect)
    cache = cache_of(short_side)
    layout = layout or present_layout(dataset, archives)
    job = Job(
        name,
        dataset,
        layout,
        archives,
        receipts or archives,
        out,
        manifests or out,
        cache,
        threads,
        disk_check,
    )
    job.demand()
    folder = folder_name(cache)
    tables = [job.manifests / name for name in (RECORD, *TABLES)]
    found = (job.path(archive.name) for archive in job.layout.archives)
    keep_apart([*tables, out / f"{folder}.json"], [*found, expect, skip_unreadable])
    refuse_foreign_tables(*tables)
    reading = job.layout.read(archives, dataset.counts)
    reading.split.check(dataset.open_world)
    warnings = _compare(reading.split, dataset, count_check)
    allowed = read_list(skip_unreadable, reading.images, folder) if skip_unreadable else set()
    kept = _images(job, reading, allowed)
    if kept.unreadable:
        reading = without(reading, kept.unreadable)
        reading.split.check(dataset.open_world)
        warnings.append(finding(dataset.title, kept.unreadable))
        print(f"warning: {warnings[-1]}", file=sys.stderr)
    write_tables(job, reading, kept, warnings)


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


def _images(job: Job, reading: Reading, allowed: Collection[str]) -> Kept:
    """Unpack the images unless they are there; those in `allowed` may turn out to be unreadable."""
    parts = reading.images
    marks = {p.archive: fingerprint(job.path(p.archive), job.receipts, p.archive) for p in parts}
    identity = identity_of(job.name, job.layout_name, marks, parts, job.cache)
    store = Store(job.out, folder_name(job.cache), identity)
    paths = [path for part in parts for path in part.paths]
    # Looked for before the lock, so that a shared folder may be read-only.
    if (kept := store.kept(paths, allowed)) is not None:
        return kept
    with exclusive(store.folder, f"prepares {store.folder}"):
        kept = store.kept(paths, allowed)
        return _unpacked(job, store, parts, allowed) if kept is None else kept


def _unpacked(job: Job, store: Store, parts: Sequence[Images], allowed: Collection[str]) -> Kept:
    paths = [path for part in parts for path in part.paths]
    store.claim()
    store.drop_others()
    need = peak_bytes(job.archives, parts, job.cache) - used_bytes(store.images)
    check_space(store.place, need, refuse=job.disk_check)
    with store.workspace(paths) as folder:
        found = {}
        for part in parts:
            archive = job.path(part.archive)
            found[part.archive] = unpack(
                archive,
                part.root,
                part.paths,
                folder,
                part.source,
                cache=job.cache,
                threads=job.threads,
                kinds=kinds_needed(archive, job.receipts, job.dataset.archive(part.archive)),
            )
        refuse(
            {name: each.unreadable for name, each in found.items()},
            allowed,
            {name: is_published(job, name, each.hashes) for name, each in found.items()},
        )
        kept = Kept(
            {name: each.hashes for name, each in found.items()},
            {path: why for each in found.values() for path, why in each.unreadable.items()},
        )
        if absent := lacking(folder, set(paths) - set(kept.unreadable)):
            raise UserError(
                f"{len(absent):,} images vanished from {folder} while they were unpacked, the "
                f"first is '{min(absent)}'; let nothing else write there, and prepare again"
            )
        sums = {path: crc for each in found.values() for path, crc in each.sums.items()}
        write_list(folder, paths, sums)
        (job.manifests / RECORD).unlink(missing_ok=True)
        store.publish(kept)
    return kept
