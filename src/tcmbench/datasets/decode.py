"""A look at every image before anything is trained on it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tcmbench.errors import UserError
from tcmbench.progress import Progress

CHUNK = 64


def check_images(folder: Path, names: Sequence[str], archive: Path) -> None:
    """Decode each image in full, whatever its colour mode.

    Raises:
        UserError: an image cannot be decoded.
    """
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    # Pillow lets go of the interpreter while it decodes, so threads are enough.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress(len(names), "images", f"checking {archive.name}") as progress,
    ):
        try:
            for flaw, chunk in zip(pool.map(partial(_flaw, folder), chunks), chunks, strict=True):
                if flaw:
                    raise UserError(
                        f"{flaw}, as unpacked from {archive}; delete the archive and download it "
                        "again"
                    )
                progress.update(len(chunk))
        finally:
            pool.shutdown(cancel_futures=True)


def _flaw(folder: Path, names: Sequence[str]) -> str | None:
    """Return what is wrong with the first bad image, if there is one."""
    from PIL import Image

    for name in names:
        try:
            with Image.open(folder / name) as image:
                image.load()
        # A damaged file makes Pillow's readers raise almost anything.
        except Exception as error:
            return f"the image {name} cannot be decoded ({error})"
    return None
