"""What may be replaced: files that this command wrote, known by marks that it left in them."""

import os
from collections.abc import Iterator
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256
from tcmbench.images.manifests import COLUMNS
from tcmbench.images.sums import MARK, read_list

# What file browsers leave, which nobody misses.
LITTER = frozenset({".DS_Store", "Thumbs.db"})

WAY_OUT = "move it away, or choose another folder by --out"


def refuse_strangers(folder: Path, apart: str) -> None:
    """Make sure that a folder may be replaced, all but what is called `apart` in it.

    Raises:
        UserError: it holds a file that no earlier call wrote, or is none.
    """
    if folder.is_symlink() and not folder.exists():
        raise UserError(
            f"{folder} is a link to a folder that does not exist; make it, or {WAY_OUT}"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is in the way, which is no folder; {WAY_OUT}")
    ours = {MARK, *read_list(folder)}
    stranger = next((path for path in _files(folder, apart) if path not in ours), None)
    if stranger is not None:
        raise UserError(
            f"{folder} would be replaced, but holds '{stranger}', which this command did not "
            f"write; {WAY_OUT}"
        )


def refuse_foreign_tables(record: Path, *tables: Path) -> None:
    """Make sure that tables and their record may be replaced.

    Raises:
        UserError: one of them is another file of that name, or was changed since it was written.
    """
    hashes = None
    if record.exists():
        content = read_json(record)
        hashes = content.get("sha256") if isinstance(content, dict) else None
        if not isinstance(hashes, dict) or "archives" not in content:
            raise _foreign(record, "which this command did not write")
    for table in tables:
        if not table.exists():
            continue
        if hashes is not None and sha256(table) != hashes.get(table.name):
            raise _foreign(table, f"which was changed since {record.name} was written")
        with table.open("rb") as stream:
            if stream.readline(100).strip() != ",".join(COLUMNS).encode():
                raise _foreign(table, "which this command did not write")


def _foreign(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} would be replaced, {why}; move it away, or choose another folder by --manifests"
    )


def _files(folder: Path, apart: str) -> Iterator[str]:
    """Yield the path of each file, and of each link, below a folder."""
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name != apart]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in (*names, *links):
            if name not in LITTER:
                yield Path(parent, name).relative_to(folder).as_posix()
