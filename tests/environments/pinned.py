"""What the lock and the conda environments say, read apart from what wrote them."""

import re

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

ENVS = sorted((ROOT / "envs").glob("*.yaml"))
LOCK = (ROOT / "requirements.lock").read_text()
LINUX = {
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "os_name": "posix",
}


def locked(python):
    """Version of each package on Linux, by name."""
    environment = LINUX | {"python_full_version": f"{python}.0", "python_version": python}
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
    requirements = [one for one in map(Requirement, section) if on_linux(one.marker)]
    return {one.name: str(one.specifier).removeprefix("==") for one in requirements}


def on_linux(marker, extra=""):
    return marker is None or marker.evaluate(LINUX | {"extra": extra})


def named(env):
    """The packages of an environment that its file of names asks for."""
    lines = env.with_suffix(".in").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {one.name for one in wanted if on_linux(one.marker)}
