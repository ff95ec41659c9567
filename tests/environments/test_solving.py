"""conda-forge alone is asked, and a real solver finds what is asked for."""

import asyncio
import json

import pytest
import yaml

from tests.environments.pinned import ENVS


def pack_channel(folder, packages):
    """Write a conda channel of empty packages: [(name, version, depends)]."""
    records = {
        f"{name}-{version}-0.tar.bz2": {
            "name": name,
            "version": version,
            "build": "0",
            "build_number": 0,
            "depends": depends,
            "subdir": "noarch",
            "noarch": "generic",
            "md5": "0" * 32,
            "sha256": "0" * 64,
            "size": 1,
        }
        for name, version, depends in packages
    }
    for subdir, content in (("noarch", records), ("linux-64", {})):
        (folder / subdir).mkdir(parents=True)
        data = {"info": {"subdir": subdir}, "packages": content, "packages.conda": {}}
        (folder / subdir / "repodata.json").write_text(json.dumps(data | {"repodata_version": 1}))
    return folder.as_uri()


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_conda_forge_alone_solves_an_environment(env, tmp_path):
    """A real solver on a channel of that name, and one beside it that must not be asked."""
    rattler = pytest.importorskip("rattler")
    pythons = [("python", f"3.{minor}.4", []) for minor in (11, 12, 13)]
    pip = ("pip", "26.1", ["python >=3.9", "setuptools"])
    forge = pack_channel(tmp_path / "conda-forge", [*pythons, pip, ("setuptools", "84.2.1", [])])
    other = pack_channel(tmp_path / "other", [("python", "3.13.9", []), ("pip", "99", [])])
    content = yaml.safe_load(env.read_text())
    assert [rattler.Channel(name).name for name in content["channels"]] == ["conda-forge"]
    specs = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    matches = [rattler.MatchSpec(spec) for spec in specs]
    assert {match.channel.name for match in matches} == {"conda-forge"}
    local = [f"{forge}::{spec.partition('::')[2]}" for spec in specs]
    found = asyncio.run(rattler.solve([other, forge], local, platforms=["linux-64", "noarch"]))
    assert {(one.name.normalized, str(one.version)) for one in found} == {
        ("python", "3.13.4"),
        ("pip", "26.1"),
        ("setuptools", "84.2.1"),
    }
