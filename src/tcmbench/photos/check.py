"""The check of a dataset of one's own, and the manifests that it leaves."""

import hashlib
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tcmbench.common.errors import UserError
from tcmbench.common.files import atomic_path
from tcmbench.common.paths import keep_apart
from tcmbench.common.progress import Progress
from tcmbench.common.provenance import provenance, write_record
from tcmbench.config.schema import Config
from tcmbench.datasets.base import Images, Split
from tcmbench.images.manifests import manifest_text
from tcmbench.images.pictures import UnreadableError, check_image
from tcmbench.images.sums import checksum
from tcmbench.photos.listing import Listing, check_classes, listed
from tcmbench.photos.memory import Memory
from tcmbench.photos.plan import MEMORY
from tcmbench.photos.sources import HALVES
from tcmbench.preparation.unreadable import read_list
from tcmbench.preparation.workers import Workers

RECORD = "manifest.json"
NO_PICTURES = "passed over, being no pictures by their names"


def check(
    name: str,
    entry: Config,
    out: Path,
    *,
    half: str | None = None,
    skip_unreadable: Path | None = None,
    threads: int | None = None,
) -> None:
    """Decode the pictures where they lie, unless they were before, and write manifests.

    train.csv and test.csv have `path`, `label`, `class_name` and `sha256`, sorted by label and
    path; manifest.json says what they are of.

    Args:
        name: of the dataset.
        entry: of `datasets` in config.yaml.
        out: folder for the three, and for what is remembered of the pictures.
        half: `train` or `test` writes this manifest alone; all pictures are checked all the same.
        skip_unreadable: a text file with the pictures that are left out if they cannot be decoded.
        threads: pictures that are decoded at a time; None: one a core.

    Raises:
        UserError: as `listed` and `Memory`, or pictures cannot be decoded; all are named.
    """
    written = [out / f"{wanted}.csv" for wanted in HALVES] + [out / RECORD, out / MEMORY]
    keep_apart(written, [Path(entry["table"]) if "table" in entry else None, skip_unreadable])
    listing = listed(entry)
    place, split = entry.get("folder") or entry["table"], listing.split
    paths = [item.path for item in (*split.train, *split.test)]
    memory = Memory(out / MEMORY, listing.images, paths)
    new = memory.undecoded()
    broken = unreadable(listing.images, new, threads)
    memory.note_decoded(set(new) - broken.keys())
    allowed = _allowed(skip_unreadable, paths, place)
    if refused := {path: why for path, why in broken.items() if path not in allowed}:
        raise UserError(_sentence(listing.images, refused))
    if broken:
        split = _without(split, broken)
        check_classes(split, place)
    if listing.others:
        print(f"{len(listing.others):,} files {NO_PICTURES}: {listing.others}", file=sys.stderr)
    texts = {
        "train": manifest_text(split.train, memory),
        "test": manifest_text(split.test, memory),
    }
    for wanted in [half] if half else HALVES:
        with atomic_path(out / f"{wanted}.csv") as temporary:
            temporary.write_text(texts[wanted], encoding="utf-8", newline="")
    write_record(out / RECORD, _record(name, listing, split, broken, texts))


def unreadable(images: Path, paths: list[str], threads: int | None = None) -> dict[str, str]:
    """Return why pictures cannot be decoded, by path; nothing where all can."""
    found: dict[str, str] = {}
    with (
        Progress(len(paths), "images", "check") as progress,
        Workers(threads or os.cpu_count() or 1, progress, found, {}) as workers,
    ):
        for path in paths:
            workers.submit(0, path, partial(_trouble, images / path))
        workers.finish()
    return found


def require_readable(images: Path, paths: list[str]) -> None:
    """Refuse pictures that cannot be decoded, all of them in one sentence.

    Raises:
        UserError: there is one.
    """
    if broken := unreadable(images, paths):
        raise UserError(_sentence(images, broken))


def _trouble(file: Path) -> str | int:
    try:
        content = file.read_bytes()
        check_image(content)
    except UnreadableError as error:
        return str(error)
    except OSError as error:
        return error.strerror or type(error).__name__
    return checksum(content)


def _allowed(skip: Path | None, paths: list[str], place: str) -> set[str]:
    return read_list(skip, [Images("", "", paths, place)], "") if skip else set()


def _without(split: Split, broken: Collection[str]) -> Split:
    halves = (split.train, split.test)
    return Split(*([item for item in half if item.path not in broken] for half in halves))


def _sentence(images: Path, broken: Mapping[str, str]) -> str:
    named = ", ".join(f"{path} ({why})" for path, why in sorted(broken.items()))
    number = f"{len(broken):,} pictures" if len(broken) > 1 else "1 picture"
    return (
        f"{number} of {images} cannot be decoded: {named}; mend or remove them, or list them in a "
        "text file, one a line, and name it in config.yaml under skip_unreadable"
    )


def _record(
    name: str,
    listing: Listing,
    split: Split,
    broken: Mapping[str, str],
    texts: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "dataset": {"name": name},
        "split": listing.rule,
        "counts": asdict(split.counts()),
        "passed_over": listing.others,
        "unreadable": dict(broken),
        "sha256": {
            f"{half}.csv": hashlib.sha256(text.encode()).hexdigest() for half, text in texts.items()
        },
        "provenance": provenance(),
    }
