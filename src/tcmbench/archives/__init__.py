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
from tcmbench.archives.zips import is_zip, zip_members
from tcmbench.common.contents import ARCHIVE, demand, head
from tcmbench.common.files import bare_name


def members(archive: Path) -> Iterator[Member]:
    """Yield the files of a zip, a tar (packed or not) or an idx file of images, each once.

    They come in the order of the file; hard links of a tar come last.

    Raises:
        UserError: the archive is damaged or hostile, or something else.
    """
    with closing(Source(archive)) as source:
        yield from members_of(source)


def members_of(source: Source) -> Iterator[Member]:
    """Yield the same from an open archive, which keeps its hashes."""
    if bare_name(source.path.name).endswith(SUFFIX):
        return idx_members(source)
    demand(head(source.path), str(source.path), ARCHIVE)
    return zip_members(source) if is_zip(source.path) else tar_members(source)
