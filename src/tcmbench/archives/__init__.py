"""Reading archives in one pass, without trusting what they hold."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tcmbench.archives.guards import Member
from tcmbench.archives.source import Source
from tcmbench.archives.tars import tar_members
from tcmbench.archives.zips import zip_members


def members(archive: Path) -> Iterator[Member]:
    """Yield the files of a .zip, or of a gzipped tar, in the order in which they lie in it.

    Raises:
        UserError: the archive is damaged or hostile.
    """
    with closing(Source(archive)) as source:
        yield from members_of(source)


def members_of(source: Source) -> Iterator[Member]:
    """Yield the same from an open archive, which keeps its hashes."""
    return zip_members(source) if source.path.suffix == ".zip" else tar_members(source)
