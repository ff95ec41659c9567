"""Which weights a file of embeddings is of: a comment in the .npz, which is a zip archive."""

import json
import zipfile
from pathlib import Path

KEY = "weights_sha256"


def note_origin(path: Path, weights: str | None) -> None:
    """Write the SHA-256 of the weights into a .npz; its arrays stay as they are."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = json.dumps({KEY: weights}).encode()


def read_origin(path: Path) -> str | None:
    """Return what `note_origin` wrote; None where nobody did, as in files made elsewhere."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
    try:
        noted = json.loads(comment)
    except ValueError:
        return None
    found = noted.get(KEY) if isinstance(noted, dict) else None
    return found if isinstance(found, str) else None
