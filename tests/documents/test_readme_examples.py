"""What README shows runs: the library example, the new loss, the command, the workflow's parts."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from tcmbench.losses import load_loss
from tests.documents.readme import README, blocks
from tests.paths import ROOT

LOSS, *SNIPPETS = blocks("python")
RULE = blocks("snakemake")[0]


@pytest.fixture
def loss_file(tmp_path):
    assert LOSS.startswith("# src/tcmbench/losses/contrastive.py\n")
    file = tmp_path / "contrastive.py"
    file.write_text(LOSS)
    return file


def test_the_library_example_runs(capsys):
    torch.manual_seed(0)
    names = {}
    for snippet in SNIPPETS:
        exec(snippet, names)
    assert names["result"].utility.shape == (20, 101)
    assert names["total"].item() > 0
    assert "(20, 101)" in capsys.readouterr().out


def test_the_example_loss_by_hand(loss_file):
    loss = load_loss("contrastive", {"margin": 0.4}, file=loss_file)
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    # Cosines of positives (0,1) 0.6 and (2,3) 0: mean of 0.4 and 1 is 0.7.
    # Of negatives (0,2) 1, (0,3) 0, (1,2) 0.6, (1,3) 0.8: above 0.4 by 0.6, 0.2, 0.4, mean 0.4.
    assert loss(rows, labels).item() == pytest.approx(1.1, abs=1e-6)


def test_the_evaluation_command_runs(tmp_path):
    (line,) = re.findall(r"^python src/evaluate\.py .*$", README, re.MULTILINE)
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "mine.npz",
        embeddings=random.normal(size=(30, 4)),
        labels=np.repeat(np.arange(5), 6),
    )
    script, *arguments = shlex.split(line)[1:]
    command = [sys.executable, str(ROOT / script), *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert (tmp_path / "metrics.json").stat().st_size > 0
    assert (tmp_path / "utility.parquet").stat().st_size > 0


@pytest.mark.workflow
def test_the_example_loss_and_rule_join_the_workflow(loss_file, tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    entry, custom = (block for block in map(yaml.safe_load, blocks("yaml")) if "losses" in block)
    entry["losses"]["contrastive"]["file"] = loss_file.name
    config["custom_rules"] = custom["custom_rules"]
    config["losses"] |= entry["losses"] | custom["losses"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "my_rules.smk").write_text(RULE)
    (tmp_path / "my_train.py").touch()
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n"]
    done = subprocess.run(
        [*command, "--config", "suite=quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    jobs = dict(re.findall(r"^(train_\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    assert jobs == dict.fromkeys(
        ("train_contrastive", "train_mine", "train_recall_at_k", "train_smooth_ap"), "16"
    )


@pytest.mark.workflow
@pytest.mark.parametrize("profile", ["slurm", "multi-gpu"])
def test_profiles_are_understood(profile, tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    folder = ROOT / "workflow/profiles" / profile
    # The executor of a cluster is not installed here; its settings are read all the same.
    command = f"snakemake -s {ROOT}/Snakefile -n --executor local --workflow-profile {folder}"
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "train_smooth_ap" in done.stdout + done.stderr
