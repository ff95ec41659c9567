"""The terms of a dataset, shown before its files are fetched."""

import sys
from pathlib import Path

from tcmbench.datasets.base import Dataset

FILE = "TERMS.txt"


def terms(dataset: Dataset) -> str:
    """Return title, licence and where it is stated, in two lines."""
    return f"{dataset.title}: {dataset.licence}\nterms: {dataset.licence_url}\n"


def show_terms(dataset: Dataset, folder: Path) -> None:
    """Print the terms on standard error, once a folder: `TERMS.txt` there remembers it."""
    text = terms(dataset)
    marker = folder / FILE
    if marker.exists() and text in marker.read_text(encoding="utf-8"):
        return
    print(text, end="", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with marker.open("a", encoding="utf-8") as stream:
        stream.write(text)
