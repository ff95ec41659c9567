"""The advice as files."""

from pathlib import Path

from tcmbench.advisor.advice import Advice
from tcmbench.advisor.page import page
from tcmbench.common.files import atomic_path, sha256
from tcmbench.common.provenance import provenance, write_record

JSON, HTML = NAMES = ("threshold.json", "threshold.html")


def write_advice(advice: Advice, embeddings: Path, out: Path) -> None:
    """Write threshold.json (with provenance) and threshold.html into `out`, each whole."""
    with atomic_path(out / HTML) as temporary:
        temporary.write_text(page(advice, embeddings.name), encoding="utf-8")
    source = {**provenance(), "embeddings_sha256": sha256(embeddings)}
    write_record(out / JSON, {**advice.to_json(), "provenance": source})
