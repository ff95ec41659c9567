"""One set of versions: what the lock, the conda environments, the ranges and the imports say."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tcmbench.common.sources import sources
from tests.paths import ROOT

ENVS = sorted((ROOT / "envs").glob("*.yaml"))
LIBRARY = ROOT / "src/tcmbench"
# Loaded by name, so that following imports does not find them.
PLUGINS = {
    "data": ["datasets", "miniatures"],
    "train": ["losses", "regularizers"],
    "evaluate": [],
    "report": [],
}
PACKAGE_OF = {
    "faiss": "faiss-cpu",
    "PIL": "pillow",
    "huggingface_hub": "huggingface-hub",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
LOCK = (ROOT / "requirements.lock").read_text()


def locked(python):
    """Version of each package on Linux, by name."""
    environment = {"python_full_version": f"{python}.0", "sys_platform": "linux"}
    entries = re.findall(r"^([a-z0-9].*?)\s*\\$", LOCK, re.MULTILINE)
    wanted = [
        requirement
        for requirement in map(Requirement, entries)
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]
    names = [canonicalize_name(requirement.name) for requirement in wanted]
    assert len(names) == len(set(names)), "two versions for one Python"
    return {
        name: str(requirement.specifier).removeprefix("==")
        for name, requirement in zip(names, wanted, strict=True)
    }


def pins(env):
    (section,) = [
        entry["pip"]
        for entry in yaml.safe_load(env.read_text())["dependencies"]
        if isinstance(entry, dict)
    ]
    return dict(pin.split("==") for pin in section)


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
    assert {env.stem for env in ENVS} == set(PLUGINS)
    named = {
        name
        for file in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r"envs/(\w+)\.yaml", file.read_text())
    }
    assert named == set(PLUGINS)


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_an_environment_pins_what_is_locked(env):
    content = yaml.safe_load(env.read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert {"python=3.12", "pip"} <= {x for x in content["dependencies"] if isinstance(x, str)}
    versions = locked("3.12")
    assert pins(env) == {name: versions.get(name) for name in pins(env)}


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


def test_the_lock_has_hashes_and_no_addresses():
    assert "://" not in LOCK
    assert not re.search(r"^-|^\S+ @ ", LOCK, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_the_ranges_admit_what_is_locked(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    versions = locked(python)
    for text in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        requirement = Requirement(text)
        version = versions[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"{text} against {version}"
