"""Another repository's workflow takes this one as a module, with its own settings and loss."""

import re
from pathlib import Path

import pytest
import yaml

from tests.paths import ROOT
from tests.workflow.checkout import Checkout
from tests.workflow.test_extensions import LOSS

SNAKEFILE = f"""
configfile: "mine.yaml"


rule mine:
    input:
        "bench/results/runs/cub/scratch_resnet/mean_gap/tcm/seed0/model.safetensors",
    output:
        "size.txt",
    shell:
        "wc -c < {{input}} > {{output}}"


module bench:
    snakefile: "{ROOT}/Snakefile"
    config: config
    prefix: "bench"


use rule * from bench
"""


@pytest.fixture
def other(tmp_path: Path) -> Checkout:
    """A folder far from this repository, with a workflow, a configuration and a loss of its own."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    short = {"epochs": 1, "milestones": [1], "batch_size": 64, "samples_per_class": 4, "crop": 32}
    config["recipes"].append({"where": {"loss": "mean_gap"}, "set": short})
    config["losses"]["mean_gap"] = {"file": "mean_gap.py"}
    grid = {"datasets": ["cub"], "backbones": ["scratch_resnet"], "losses": ["mean_gap"]}
    config["suites"] = {"quick": {"scale": "miniature", **grid}}
    config["suite"] = "quick"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "mean_gap.py").write_text(LOSS)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return Checkout(tmp_path)


def test_everything_is_planned_below_the_prefix(other: Checkout) -> None:
    planned = other.run("snakemake", "-n", "-p", "--cores", "2", "all")
    assert planned.returncode == 0, planned.stderr
    told = planned.stdout + planned.stderr
    assert "train_mean_gap" in told
    # Neither an input nor a word of a command has lost it.
    assert re.search(r"(?<=[\s\"'])bench/results/runs", told)
    assert not re.search(r"[\s\"'=]results/", told)


def test_its_own_loss_is_trained(other: Checkout) -> None:
    done = other.run("snakemake", "--cores", "2", "mine")
    assert done.returncode == 0, done.stderr[-5000:]
    assert int((other.folder / "size.txt").read_text()) > 10_000
    assert not (other.folder / "results").exists()
    assert [path.name for path in (other.folder / "bench").iterdir()] == ["results"]
