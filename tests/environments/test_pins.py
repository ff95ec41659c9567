"""The environments hold the locked versions, of all that pip would take, and one faiss."""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environments.pinned import ENVS, LINUX, locked, named, on_linux, pins
from tests.paths import ROOT

FAISS = {"faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs"}
# What faiss-gpu-cuvs alone needs is not in the lock, which holds faiss-cpu.
ON_GPU = {
    "faiss-gpu-cuvs",
    "libcuvs-cu13",
    "libraft-cu13",
    "librmm-cu13",
    "nvidia-curand",
    "rapids-logger",
}


def installed(name):
    """The version that is installed here, if any."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def needed_by(names):
    """All that comes with packages, as what is installed here declares it; and what is not here."""
    found, missing, waiting = set(), set(), [(name, "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found or name in missing:
            continue
        try:
            declared = distribution(name).requires or []
        except PackageNotFoundError:
            missing.add(name)
            continue
        found.add((name, extra))
        for one in map(Requirement, declared):
            if on_linux(one.marker, extra):
                waiting += [(canonicalize_name(one.name), more) for more in ("", *one.extras)]
    return {name for name, _ in found}, missing


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_an_environment_pins_what_is_locked(env):
    content = yaml.safe_load(env.read_text())
    assert content["channels"] == ["conda-forge"]
    conda = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    assert conda == ["conda-forge::python=3.13", "conda-forge::pip"]
    shared = {name: version for name, version in pins(env).items() if name not in ON_GPU}
    versions = locked("3.13")
    assert shared == {name: versions.get(name) for name in shared}


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_an_environment_pins_all_that_pip_would_take(env):
    """The closure, walked through the metadata of what is installed here."""
    names = named(env)
    assert names <= pins(env).keys()
    here = locked(f"3.{sys.version_info.minor}")
    if any(installed(name) != here[name] for name in names - ON_GPU):
        pytest.skip("other versions than the locked ones are installed, which may need others")
    needed, missing = needed_by(names)
    assert missing <= ON_GPU
    assert pins(env).keys() - ON_GPU == needed
    assert bool(pins(env).keys() & ON_GPU) == ("faiss-gpu-cuvs" in names)


def test_there_is_never_more_than_one_build_of_faiss():
    assert [name for env in ENVS for name in pins(env) if name in FAISS] == ["faiss-gpu-cuvs"]
    assert locked("3.11").keys() & FAISS == {"faiss-cpu"}
    text = (ROOT / "envs/train.yaml").read_text()
    cpu, gpu = (
        Requirement(re.search(rf"- ({name}==.*)", text)[1]).marker
        for name in ("faiss-cpu", "faiss-gpu-cuvs")
    )
    for system, processor in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")):
        here = LINUX | {"sys_platform": system, "platform_machine": processor}
        assert cpu.evaluate(here) != gpu.evaluate(here)
    # Extras that hold different builds are declared as not to be installed together.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = {
        extra: FAISS & {Requirement(one).name for one in content}
        for extra, content in project["project"]["optional-dependencies"].items()
    }
    declared = [{one["extra"] for one in pair} for pair in project["tool"]["uv"]["conflicts"]]
    holding = [extra for extra, builds in extras.items() if builds]
    for one in holding:
        for other in holding:
            assert (extras[one] != extras[other]) == ({one, other} in declared)
