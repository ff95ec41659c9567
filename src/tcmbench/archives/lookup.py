"""Label files inside archives, read whole and by name."""

from pathlib import Path, PurePosixPath

from tcmbench.archives import members
from tcmbench.common.errors import UserError


def read_members(archive: Path, *names: str) -> list[bytes]:
    """Return the content of the named members, in the order asked for.

    Raises:
        UserError: the archive is damaged or hostile, or a member is missing.
    """
    contents: dict[str, bytes] = {}
    for member in members(archive):
        if member.name in names:
            contents[member.name] = member.read()
        if len(contents) == len(names):
            break
    for name in names:
        if name not in contents:
            raise _absent(archive, name)
    return [contents[name] for name in names]


def read_texts(archive: Path, *names: str) -> list[str]:
    """Return the text of the named members, in the order asked for; a byte order mark is dropped.

    Raises:
        UserError: as `read_members`, or a member is not UTF-8.
    """
    contents = read_members(archive, *names)
    return [_decoded(archive, *pair) for pair in zip(names, contents, strict=True)]


def member_names(archive: Path) -> list[str]:
    """Return the names of all files; cheap for a .zip, which has a table of them."""
    return [member.name for member in members(archive)]


def located(archive: Path, *files: str) -> list[str]:
    """Return the member of each of these file names, in whatever folder of the archive it lies.

    Raises:
        UserError: the archive is damaged or hostile, or holds a file name not once.
    """
    held = member_names(archive)
    found = []
    for file in files:
        matching = [name for name in held if PurePosixPath(name).name == file]
        if not matching:
            raise _absent(archive, file)
        if len(matching) > 1:
            raise UserError(
                f"{archive} holds {len(matching)} files of the name '{file}' "
                f"({', '.join(matching[:2])}), so it is not clear which one counts; download it "
                "again"
            )
        found.append(matching[0])
    return found


def _absent(archive: Path, name: str) -> UserError:
    return UserError(
        f"{archive} has no member '{name}'; it is not the published archive, delete it and "
        "download it again"
    )


def _decoded(archive: Path, name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} in {archive} is not text ({error}); download it again") from None
