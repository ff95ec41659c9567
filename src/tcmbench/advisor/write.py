"""The advice as files."""

from pathlib import Path

from tcmbench.advisor.advice import Advice
from tcmbench.advisor.page import page
from tcmbench.common.files import atomic_path, sha256, write_json
from tcmbench.common.provenance import provenance


def write_advice(advice: Advice, embeddings: Path, out: Path) -> None:
    """Write threshold.json (with provenance) and threshold.html into `out`, each whole."""
    with atomic_path(out / "threshold.html") as temporary:
        temporary.write_text(page(advice, embeddings.name), encoding="utf-8")
    source = {**provenance(), "embeddings_sha256": sha256(embeddings)}
    write_json(out / "threshold.json", {**advice.to_json(), "provenance": source})
