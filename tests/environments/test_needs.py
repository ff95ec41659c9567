"""The environments hold what commands, plug-ins and the configuration need."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from tcmbench.common.machine import ENVIRONMENT_MB
from tcmbench.common.sources import sources
from tests.environments.pinned import ENVS, named, pins
from tests.paths import ROOT

LIBRARY = ROOT / "src/tcmbench"
# Loaded by name, so that following imports does not find them.
PLUGINS = {
    "data": ["datasets", "miniatures"],
    "train": ["losses", "regularizers"],
    "report": [],
}
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
# What a job needs where a switch of `training` is on.
SWITCHES = {"compile": {"torch"}, "tensorboard": {"tensorboard"}}
PACKAGE_OF = {
    "faiss": "faiss-gpu-cuvs",
    "PIL": "pillow",
    "huggingface_hub": "huggingface-hub",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def scripts(env):
    """The commands of the rules that name this environment, and the modules they run."""
    found = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        # A rule is named in its first line, or, in a loop, by `name:`.
        for rule in re.split(r"^ *rule\b.*:$", file.read_text(), flags=re.MULTILINE)[1:]:
            if f'"../../envs/{env.name}"' in rule:
                found |= set(re.findall(r'script\("([^"]+)"\)|python -m (\w+)', rule))
    return {script for script, _ in found if script}, {module for _, module in found if module}


def imported(file):
    """Packages of other projects that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    roots = {name.partition(".")[0] for name in names}
    return roots - set(sys.stdlib_module_names) - {"tcmbench"}


def test_every_stage_has_an_environment_and_every_environment_a_rule():
    assert {env.stem for env in ENVS} == set(PLUGINS) == set(ENVIRONMENT_MB)
    named = {
        name
        for file in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r"envs/(\w+)\.yaml", file.read_text())
    }
    assert named == set(PLUGINS)


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_an_environment_has_what_its_commands_import(env, monkeypatch):
    # What the workflow does not track is imported all the same.
    monkeypatch.setattr("tcmbench.common.sources.INERT", frozenset())
    commands, modules = scripts(env)
    assert commands, "no rule uses it"
    read = {Path(file) for name in commands for file in sources(ROOT / "src" / name)}
    files = {file for file in read if file.suffix == ".py"}
    for folder in PLUGINS[env.stem]:
        for file in (LIBRARY / folder).glob("*.py"):
            files |= {Path(name) for name in sources(file)}
    # A command in one environment never builds what belongs to another: only its own plug-ins.
    needed = modules.union(*(imported(file) for file in files)) - {"snakemake"}
    assert {PACKAGE_OF.get(name, name) for name in needed} <= pins(env).keys()


def test_the_environment_has_what_the_configuration_can_ask_for():
    wanted = {
        entry["class"].partition(".")[0] for entry in CONFIG["losses"].values() if "class" in entry
    }
    assert wanted, "no loss of a package"
    switches = {name for name, value in CONFIG["training"].items() if isinstance(value, bool)}
    assert switches == SWITCHES.keys()
    packages = {name.replace("_", "-") for name in wanted}.union(*SWITCHES.values())
    assert packages <= named(ROOT / "envs/train.yaml")
