"""Label files inside archives, read whole and by name, below whatever top folder."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from tcmbench.archives import members
from tcmbench.common.errors import UserError


def read_members(archive: Path, root: str, *files: str) -> tuple[str, list[bytes]]:
    """Return the folder in which the files lie, with its slash, and their content, as asked for.

    The archive is read to its end, so that a second file of one name is noticed.

    Args:
        archive: the file.
        root: the folder of the published archive; one that was packed again may have another.
        files: paths below it.

    Raises:
        UserError: the archive is damaged or hostile, or a file is missing or comes twice.
    """
    contents, names = _collected(archive, {root + file for file in files})
    if not contents:
        root = top_folder(names, files, root, archive)
        contents, _ = _collected(archive, {root + file for file in files})
    for file in files:
        if root + file not in contents:
            raise _absent(archive, root + file)
    return root, [contents[root + file] for file in files]


def read_texts(archive: Path, root: str, *files: str) -> tuple[str, list[str]]:
    """Return the same as text; a byte order mark is dropped.

    Raises:
        UserError: as `read_members`, or a file is not UTF-8.
    """
    root, contents = read_members(archive, root, *files)
    pairs = zip(files, contents, strict=True)
    return root, [_decoded(archive, root + file, content) for file, content in pairs]


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


def top_folder(names: Iterable[str], files: Collection[str], usual: str, archive: Path) -> str:
    """Return the folder, with its slash or empty, below which an archive has these files.

    That is `usual` where any of them lies there, else the one folder that has them all, else the
    one that has most.

    Args:
        names: the archive's members.
        files: paths below the folder.
        usual: the folder of the published archive.
        archive: for the message.

    Raises:
        UserError: several folders have them all.
    """
    wanted, found = set(files), Counter[str]()
    for name in names:
        parts = name.split("/")
        for depth in range(len(parts)):
            if "/".join(parts[depth:]) in wanted:
                found["".join(f"{part}/" for part in parts[:depth])] += 1
    if usual in found or not found:
        return usual
    whole = sorted(folder for folder, count in found.items() if count >= len(wanted))
    if len(whole) > 1:
        raise UserError(
            f"{archive} has '{min(wanted)}' in several folders ('{whole[0]}', '{whole[1]}'), so it "
            "is not clear which one counts; remove the others from it"
        )
    return whole[0] if whole else found.most_common(1)[0][0]


def _absent(archive: Path, name: str) -> UserError:
    return UserError(
        f"{archive} has no member '{name}'; it is not the published archive, delete it and "
        "download it again"
    )


def _collected(archive: Path, wanted: Collection[str]) -> tuple[dict[str, bytes], list[str]]:
    """Return the wanted members' content, and the names of all others."""
    contents: dict[str, bytes] = {}
    others = []
    for member in members(archive):
        if member.name in contents:
            raise UserError(
                f"{archive} holds '{member.name}' twice, so it is not clear which one counts; "
                "remove one of them, or download the published archive again"
            )
        if member.name in wanted:
            contents[member.name] = member.read()
        else:
            others.append(member.name)
    return contents, others


def _decoded(archive: Path, name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} in {archive} is not text ({error}); download it again") from None
