"""Reading archives in one pass, without trusting what they hold."""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tcmbench.errors import UserError
from tcmbench.progress import Progress

Member = tuple[str, Callable[[], bytes]]

DAMAGE = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile's word for a compression that it does not know
)


def read_texts(archive: Path, *names: str) -> list[str]:
    """Return the text of the named members, in the order asked for.

    Raises:
        UserError: the archive is damaged or hostile, or a member is missing or is not UTF-8.
    """
    texts: dict[str, str] = {}
    with _sound(archive):
        for name, read in _members(archive):
            if name in names:
                texts[name] = _decoded(archive, name, read())
            if len(texts) == len(names):
                break
    for name in names:
        if name not in texts:
            raise UserError(
                f"{archive} has no member '{name}'; it is not the published archive, delete it "
                "and download it again"
            )
    return [texts[name] for name in names]


def unpack(archive: Path, prefix: str, wanted: Collection[str], folder: Path, source: str) -> None:
    """Write each member `prefix` + name, for the names in `wanted`, to `folder` / name.

    The archive is read to its end, so a truncated one is noticed. Only names that the archive
    itself holds as plain relative paths are written, so nothing can land outside `folder`.

    Args:
        archive: a .zip file, or a gzipped tar.
        prefix: the folder inside the archive, with its slash.
        wanted: paths below it.
        folder: where they go; missing folders are made.
        source: the label file that names them, for the message.

    Raises:
        UserError: the archive is damaged or hostile, or lacks a wanted member.
    """
    missing = set(wanted)
    progress = Progress(len(missing), "images", f"unpacking {archive.name}")
    with _sound(archive), progress:
        for member, read in _members(archive):
            name = member.removeprefix(prefix)
            if name in missing and member == prefix + name:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read())
                missing.remove(name)
                progress.update()
    if missing:
        first = next(name for name in wanted if name in missing)
        raise UserError(
            f"{source} names {len(missing):,} images that are not in {archive}, the first is "
            f"'{prefix}{first}'; the two do not belong together, download both again"
        )


@contextmanager
def _sound(archive: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise UserError(
            f"{archive} is truncated or damaged ({error}); delete it and download it again"
        ) from None


def _members(archive: Path) -> Iterator[Member]:
    return _zip_members(archive) if archive.suffix == ".zip" else _tar_members(archive)


def _tar_members(archive: Path) -> Iterator[Member]:
    # tarfile's own gzip stream checks neither the checksum nor the end of the data; gzip does.
    with (
        gzip.open(archive) as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 17) as tar,
    ):
        while (member := tar.next()) is not None:
            name = _safe(archive, member.name, member.isfile() or member.isdir())
            source = tar.extractfile(member)
            if source is not None:
                yield name, source.read
            # tarfile remembers every member: half a gigabyte for half a million images.
            tar.members.clear()  # type: ignore[attr-defined]
        while stream.read(1 << 20):
            pass


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as bundle:
        for info in bundle.infolist():
            # Archives made on Windows have no Unix mode: the type bits are 0.
            kind = stat.S_IFMT(info.external_attr >> 16)
            name = _safe(archive, info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if not info.is_dir():
                yield name, lambda info=info: bundle.read(info)  # type: ignore[misc]


def _safe(archive: Path, name: str, plain: bool) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        flaw = "leads out of the folder"
    elif not plain:
        flaw = "is a link or a device"
    else:
        return str(path)
    raise UserError(
        f"{archive} holds '{name}', which {flaw}; it is not the published archive, delete it and "
        "download it again"
    )


def _decoded(archive: Path, name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} in {archive} is not text ({error}); download it again") from None
