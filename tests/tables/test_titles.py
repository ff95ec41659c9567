"""Titles of the configuration, in every table and figure that shows a name."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tcmbench.config.check import runs, train_config
from tcmbench.config.titles import titles
from tcmbench.tables.names import backbone_title, dataset_title, loss_title, use_titles
from tests.config.test_selection import config_of
from tests.paths import ROOT
from tests.tables.run_folders import write_pair

GIVEN = {"backbones": {"resnet50": "Our ResNet"}, "losses": {"mine": "M & <loss>"}}


@pytest.fixture
def _given() -> Iterator[None]:
    use_titles(GIVEN)
    yield
    use_titles({})


@pytest.mark.usefixtures("_given")
def test_given_titles_win_over_known_ones() -> None:
    assert backbone_title("resnet50") == "Our ResNet"
    assert backbone_title("vit_b16") == "ViT-B/16"
    assert loss_title("mine~batch_size=32") == "M & <loss>, batch size 32"
    assert loss_title("unknown") == "unknown"
    assert dataset_title("cub", "miniature") == "CUB-200-2011 (miniature)"
    use_titles({"datasets": {"cub": "My shop"}})
    assert dataset_title("cub", "miniature") == "My shop (miniature)"
    assert backbone_title("resnet50") == "ResNet-50"


def test_a_title_is_no_part_of_a_training() -> None:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    plain = config_of()
    for kind, name in (("backbones", "resnet50"), ("losses", "smooth_ap")):
        raw[kind][name]["title"] = f"Title of {name}"
    named = config_of(**{kind: raw[kind] for kind in ("backbones", "losses")})
    assert titles(plain) == {}
    assert titles(named) == {
        "backbones": {"resnet50": "Title of resnet50"},
        "losses": {"smooth_ap": "Title of smooth_ap"},
    }
    for run in runs(plain):
        assert train_config(plain, run) == train_config(named, run)


def test_the_command_takes_titles(tmp_path: Path) -> None:
    folders = write_pair(tmp_path, "cub/resnet50/mine")
    options = ["--suite", "own", "--out", str(tmp_path), "--of", "16", "1"]
    words = ["--titles", '{"losses": {"mine": "M & <loss>"}}', *map(str, folders)]
    subprocess.run([sys.executable, "src/aggregate.py", *options, *words], cwd=ROOT, check=True)
    assert "M & \\<loss\\>" in (tmp_path / "comparisons.md").read_text()
    assert "M &amp; &lt;loss&gt;" in (tmp_path / "comparisons.html").read_text()
    assert ",mine," in (tmp_path / "comparisons.csv").read_text()
    assert "1 of 16 comparisons" in (tmp_path / "comparisons.md").read_text()
