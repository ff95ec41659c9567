"""The list in a folder of images that says which files the preparation wrote, with checksums.

A checksum is the CRC-32 of a file as it was unpacked, so that a bit that flips later is noticed.
"""

import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tcmbench.common.files import atomic_path
from tcmbench.images.manifests import Item

# A path below the folder, a tab and a checksum in hex, one file a line; the checksum comes last,
# and is absent while files are still being written. The folder carries the list wherever it moves.
MARK = ".tcm-bench-files"
_LINE = re.compile(r"(.*?)(?:\t([0-9a-f]{8}))?")

checksum = zlib.crc32


def write_list(folder: Path, paths: Collection[str], sums: Mapping[str, int]) -> None:
    """Note in a folder which of its files are ours, and the checksums that are known."""
    with atomic_path(folder / MARK) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for path in sorted(paths):
            stream.write(f"{path}\t{sums[path]:08x}\n" if path in sums else f"{path}\n")


def read_list(folder: Path) -> dict[str, int | None]:
    """Return the paths that a folder's list holds, with their checksums where they are known."""
    try:
        text = (folder / MARK).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = [match for line in text.split("\n") if (match := _LINE.fullmatch(line)) and match[1]]
    return {match[1]: int(match[2], 16) if match[2] else None for match in found}


def read_sums(root: Path, items: Sequence[Item]) -> list[int | None]:
    """Return the checksum of each image, None where none was noted.

    Args:
        root: folder that the items' paths are relative to.
        items: images, in a folder of `root` that the preparation wrote, or elsewhere.
    """
    parts = [item.path.partition("/") for item in items]
    known = {top: read_list(root / top) for top in {top for top, _, _ in parts}}
    return [known[top].get(below) for top, _, below in parts]
