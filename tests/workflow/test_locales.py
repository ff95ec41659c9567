"""The workflow in locales that are not UTF-8, with letters that none of them has all of."""

import json
from pathlib import Path

import pytest

from tests.locales import LOCALES, locale_environment
from tests.workflow.checkout import Checkout

TITLE = "Größe 漢字 Ж é"
NAME = "é 漢 Ж.npz"
SUITE = f"""
suite: quick
suites:
  quick:
    scale: miniature
    datasets: [cub]
    backbones: [test_resnet]
    entries: {{mine: {{embeddings: "{NAME}", title: "{TITLE}"}}}}
"""
# Instead of a measurement: what it was given, and every file that is declared.
STUB = """
import json, sys
from pathlib import Path

words = sys.argv[1:]
assert all(Path(word).is_file() for word in words if word.endswith(".npz"))
for word in [*words, "results/tables/quick/entries.csv", "results/tables/quick/entries.html",
             *(f"results/figures/quick/entries.{kind}" for kind in ("svg", "pdf", "png"))]:
    if Path(word).suffix in (".json", ".parquet", ".csv", ".html", ".svg", ".pdf", ".png"):
        Path(word).parent.mkdir(parents=True, exist_ok=True)
        Path(word).write_text("stub")
Path(sys.argv[0]).with_suffix(".given").write_text(json.dumps(words))
"""


@pytest.mark.parametrize("name", LOCALES)
def test_titles_and_paths_reach_the_jobs(empty: Checkout, tmp_path: Path, name: str) -> None:
    environment = locale_environment(name, tmp_path / "locales")
    (empty.folder / "one.yaml").write_text(SUITE, encoding="utf-8")
    (empty.folder / NAME).write_text("stub")
    for door in ("evaluate", "entries"):
        (empty.folder / f"src/{door}.py").write_text(STUB)
    table = "results/tables/quick/entries.csv"
    done = empty.run(
        "snakemake", "--cores", "1", "--configfile", "one.yaml", "--", table, **environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    given = {
        door: json.loads((empty.folder / f"src/{door}.given").read_text())
        for door in ("evaluate", "entries")
    }
    assert given["evaluate"][:2] == ["--embeddings", NAME]
    assert given["entries"][-3:] == ["--entry", "results/entries/mine", TITLE]
