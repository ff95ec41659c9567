"""Reading archives in one pass, without trusting what they hold.

Which dataset they hold is none of its business.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tcmbench.archives.guards import Member
from tcmbench.archives.idx import SUFFIX, idx_members
from tcmbench.archives.source import Source
from tcmbench.archives.tars import tar_members
from tcmbench.archives.zips import zip_members
from tcmbench.common.contents import ARCHIVE, demand, head


def members(archive: Path) -> Iterator[Member]:
    """Yield the files of a .zip, a gzipped tar or an idx file of images, in the order of the file.

    Raises:
        UserError: the archive is damaged or hostile.
    """
    with closing(Source(archive)) as source:
        yield from members_of(source)


def members_of(source: Source) -> Iterator[Member]:
    """Yield the same from an open archive, which keeps its hashes."""
    demand(head(source.path), str(source.path), ARCHIVE)
    if source.path.name.endswith(SUFFIX):
        return idx_members(source)
    return zip_members(source) if source.path.suffix == ".zip" else tar_members(source)
