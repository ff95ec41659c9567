"""Images that a sound archive holds and nobody can decode: named at once, left out on demand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Images, Reading, Split
from tcmbench.images.manifests import Item

NAMED = 100

Reasons = Mapping[str, str]


def read_list(path: Path, parts: Collection[Images], folder: str) -> set[str]:
    """Return the images that a text file names, by their paths below the folder of images.

    A line names an image as the tables, the label files or the archive do; lines that begin with #
    are passed over.

    Args:
        path: the text file.
        parts: the images of the dataset.
        folder: the name of the folder of images.

    Raises:
        UserError: the file cannot be read, or names something else.
    """
    known = {f"{folder}/{name}": name for part in parts for name in part.paths}
    known |= {part.root + name: name for part in parts for name in part.paths}
    known |= {name: name for part in parts for name in part.paths}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a text file ({error}); check it") from None
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for name in named:
        if name not in known:
            raise UserError(
                f"{path} names '{name}', which is no image of the dataset; correct the line"
            )
    return {known[name] for name in named}


def refuse(
    unreadable: Mapping[str, Reasons],
    allowed: Collection[str],
    published: Mapping[str, bool | None],
) -> None:
    """Refuse images that cannot be decoded and may not be left out, all of them in one sentence.

    Args:
        unreadable: by archive and path, why an image cannot be decoded.
        allowed: paths that may be left out.
        published: by archive, whether it is the published one; None where nobody knows.

    Raises:
        UserError: there is one.
    """
    bad = {
        archive: {path: why for path, why in reasons.items() if path not in allowed}
        for archive, reasons in unreadable.items()
    }
    bad = {archive: reasons for archive, reasons in bad.items() if reasons}
    if not bad:
        return
    told = "; ".join(_told(archive, reasons) for archive, reasons in bad.items())
    go_on = "list them in a text file, one a line, and go on with --skip-unreadable FILE"
    if all(published[archive] for archive in bad):
        way_out = f"another download changes nothing, since its hash is the right one: {go_on}"
    elif any(published[archive] is False for archive in bad):
        way_out = f"its hash is not the published one: delete it and download it again, or {go_on}"
    else:
        way_out = f"delete it and download it again, or, if that changes nothing, {go_on}"
    raise UserError(f"{told}; {way_out}")


def without(reading: Reading, left_out: Collection[str]) -> Reading:
    """Return a reading without these images."""

    def kept(items: Sequence[Item]) -> list[Item]:
        return [item for item in items if item.path not in left_out]

    split = Split(kept(reading.split.train), kept(reading.split.test))
    return replace(reading, split=split)


def finding(title: str, left_out: Collection[str]) -> str:
    """Say what was left out, for a warning."""
    return f"{title}: left out, since they cannot be decoded: {_listed(sorted(left_out))}"


def _told(archive: str, reasons: Reasons) -> str:
    number = "1 image" if len(reasons) == 1 else f"{len(reasons):,} images"
    named = [f"{path} ({why})" for path, why in sorted(reasons.items())]
    return f"{number} of {archive} cannot be decoded: {_listed(named)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
