"""What is prepared, from where, to where, and how."""

from dataclasses import dataclass
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Dataset, Layout
from tcmbench.preparation.shrink import Cache


@dataclass(frozen=True)
class Job:
    """One call of `build`: its arguments, with the dataset and its layout found out."""

    name: str
    dataset: Dataset
    layout_name: str
    archives: Path
    receipts: Path
    out: Path
    manifests: Path
    cache: Cache | None
    threads: int | None
    disk_check: bool

    @property
    def layout(self) -> Layout:
        """The form of the archives."""
        return self.dataset.layout(self.layout_name)

    def path(self, archive: str) -> Path:
        """Return where an archive lies, by its published name."""
        return in_folder(self.archives, archive)

    def demand(self) -> None:
        """Refuse to begin without an archive.

        Raises:
            UserError: an archive of the layout is missing, or there is no such layout.
        """
        for archive in self.layout.archives:
            if not self.path(archive.name).is_file():
                others = [name for name in self.dataset.layouts if name != self.layout_name]
                hint = f" (or prepare another layout: {', '.join(others)})" if others else ""
                raise UserError(
                    f"{self.archives / archive.name} does not exist; fetch it with: python "
                    f"src/download.py --dataset {self.name} --file {archive.name} --out "
                    f"{self.archives}{hint}"
                )


def present_layout(dataset: Dataset, archives: Path) -> str:
    """Return the first layout whose archives are all in a folder, else the default one."""
    for name, layout in dataset.layouts.items():
        if all(in_folder(archives, archive.name).is_file() for archive in layout.archives):
            return name
    return next(iter(dataset.layouts))


def cache_of(short_side: int | None) -> Cache | None:
    """Return the image cache of that short side in pixels; None for the originals.

    Raises:
        UserError: it is not positive.
    """
    if short_side is None:
        return None
    if short_side < 1:
        raise UserError(f"the short side must be at least 1 pixel, not {short_side}")
    return Cache(short_side)
