"""The lock: hashes, no addresses, and within the ranges of pyproject.toml."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environments.pinned import LOCK, locked, pins
from tests.paths import ROOT


def test_the_lock_has_hashes_and_no_addresses():
    assert "://" not in LOCK
    assert not re.search(r"^-|^\S+ @ ", LOCK, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_ranges_admit_what_is_locked(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    versions = locked(python)
    for text in [*project["dependencies"], *(name for extra in extras for name in extra)]:
        requirement = Requirement(text)
        # The one package that the lock does not hold is in an environment.
        name = canonicalize_name(requirement.name)
        version = versions.get(name) or pins(ROOT / "envs/train.yaml")[name]
        assert version in requirement.specifier, f"{text} against {version}"


def test_make_lock_locks_every_extra_but_that_of_the_other_faiss():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (listed,) = re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {*listed.split(), "faiss-gpu"} == project["optional-dependencies"].keys()
