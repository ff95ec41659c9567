"""Embeddings of one's own as an entry of a suite: measured and shown, never trained."""

import numpy as np
import pandas as pd

from tests.workflow.checkout import Checkout

ENTRY = """
    entries:
      mine:
        embeddings: "my embeddings.npz"
        title: "It's {mine} for $5"
"""


def test_an_entry_is_measured_without_training(empty: Checkout) -> None:
    before = empty.planned()
    assert "entries" not in before
    generator = np.random.default_rng(0)
    centres = np.repeat(generator.normal(size=(12, 8)), 5, axis=0)
    noise = generator.normal(scale=0.3, size=centres.shape)
    path = empty.folder / "my embeddings.npz"
    np.savez(path, embeddings=centres + noise, labels=np.repeat(np.arange(12), 5))
    scale = "    scale: miniature"
    text = (empty.folder / "config.yaml").read_text()
    quick = text.index(scale, text.index("\n  quick:\n"))
    (empty.folder / "config.yaml").write_text(text[:quick] + ENTRY.lstrip("\n") + text[quick:])
    assert empty.planned() == before | {"evaluate_entry": 1, "entries": 1}

    table = "results/tables/quick/entries.csv"
    done = empty.snakemake(table, "--cores", "1")
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(empty.folder / table).to_dict("records")
    assert (row["name"], row["title"], row["num_images"]) == ("mine", "It's {mine} for $5", 60)
    assert (empty.folder / "results/figures/quick/entries.png").is_file()
    assert not (empty.folder / "results/runs").exists()
    assert empty.planned(table) == {}

    np.savez(path, embeddings=centres, labels=np.repeat(np.arange(12), 5))
    assert empty.planned(table) == {"evaluate_entry": 1, "entries": 1}

    # What was measured of a file that is gone is not shown on.
    path.rename(empty.folder / "away.npz")
    done = empty.snakemake(table, "-n")
    assert done.returncode != 0
    assert (
        "entry 'mine': my embeddings.npz does not exist; put it back" in done.stdout + done.stderr
    )
