"""`~` and `$NAME` in the paths of a configuration and of every command's options."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tcmbench import datasets
from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError
from tcmbench.common.paths import expanded
from tcmbench.config.check import check
from tcmbench.losses import available_losses
from tests.paths import ROOT, SRC


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DISK", "/big disk")
    monkeypatch.delenv("ABSENT", raising=False)


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("~/dml", "/home/me/dml"),
        ("~", "/home/me"),
        ("$DISK/dml", "/big disk/dml"),
        ("${DISK}/a$1", "/big disk/a$1"),
        ("$HOME/~x", "/home/me/~x"),
        ("results/data", "results/data"),
        ("a~b", "a~b"),
    ],
)
def test_a_path_is_filled_in(written, full):
    assert expanded(written) == full


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("$ABSENT/x", "the path '$ABSENT/x' names the variable $ABSENT, which is not set; set it"),
        ("a/${ABSENT}", "names the variable $ABSENT, which is not set"),
        ("~no.such.user/x", "begins with '~no.such.user', but there is no such user; write the"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(written, sentence):
    with pytest.raises(UserError) as error:
        expanded(written)
    assert sentence in str(error.value)


def test_every_path_of_the_configuration_is_filled_in():
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw |= {"data_root": "~/dml", "trusted_hashes": "$DISK/t.json", "custom_rules": ["~/a.smk"]}
    raw["skip_unreadable"] = {"sop": "~/bad.txt"}
    raw["backbones"]["resnet50"]["file"] = "~/w.safetensors"
    raw["losses"]["smooth_ap"]["file"] = "$DISK/loss.py"
    raw["suites"]["quick"]["entries"] = {"mine": {"embeddings": "~/e.npz", "title": "~ $DISK"}}
    config = check(raw, datasets.names(), available_losses())
    assert config["data_root"] == "/home/me/dml"
    assert config["trusted_hashes"] == "/big disk/t.json"
    assert config["custom_rules"] == ["/home/me/a.smk"]
    assert config["skip_unreadable"] == {"sop": "/home/me/bad.txt"}
    assert config["backbones"]["resnet50"]["file"] == "/home/me/w.safetensors"
    assert config["losses"]["smooth_ap"]["file"] == "/big disk/loss.py"
    entry = config["suites"]["quick"]["entries"]["mine"]
    assert entry == {"embeddings": "/home/me/e.npz", "title": "~ $DISK"}


def test_every_path_among_the_options_of_a_command_is_filled_in():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--name")
    parser.add_argument("runs", nargs="*", type=Path)
    found = []
    run_command(parser, found.append, ["--out=~/x", "--name=~", "$DISK/r", "s"])
    assert found[0].out == Path("/home/me/x")
    assert found[0].name == "~"
    assert found[0].runs == [Path("/big disk/r"), Path("s")]


def test_a_command_refuses_an_unknown_variable_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, SRC / "prepare.py", "--dataset", "cub", "--archives", "$ABSENT/x",
         "--out", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "error: the path '$ABSENT/x' names the variable $ABSENT, which is not set; set it or write "
        "the path out\n"
    )
