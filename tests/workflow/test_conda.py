"""What `--use-conda` does before, between and beside jobs; conda itself is a stand-in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout
from tests.workflow.fake_conda import FakeConda

CONDA = ("--cores", "1", "--use-conda")
DEVIATIONS = "results/tables/quick/deviations.html"
# Seen from a disk with one gigabyte left.
SMALL_DISK = """
import shutil
from collections import namedtuple

Usage = namedtuple("Usage", "total used free")
shutil.disk_usage = lambda path: Usage(0, 0, 1e9)
"""
RULE = """
rule seen:
    output:
        "seen.txt",
    log:
        "seen.log",
    conda:
        "{environment}"
    shell:
        "python -c 'import sys; print(*sys.path, sep=chr(10))' > {{output}} 2> {{log}}"
"""


@pytest.fixture
def conda(tmp_path: Path) -> FakeConda:
    return FakeConda(tmp_path / "conda")


def small_disk(folder: Path) -> str:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SMALL_DISK)
    return str(folder)


def test_a_missing_gpu_is_said_before_environments_are_made(
    empty: Checkout, conda: FakeConda
) -> None:
    done = empty.run("snakemake", *CONDA, PATH=conda.path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0
    assert "need a GPU and this machine has none" in done.stderr
    assert conda.created() == []
    assert not list((empty.folder / "results").rglob("*.log"))


def test_a_small_disk_is_said_before_environments_are_made(
    empty: Checkout, conda: FakeConda, tmp_path: Path
) -> None:
    full = small_disk(tmp_path / "full")
    options = ("--config", "device=cpu")
    done = empty.run("snakemake", *CONDA, *options, PATH=conda.path, PYTHONPATH=full)
    assert done.returncode != 0
    assert "GB of disk in results/data and " in done.stderr
    assert conda.created() == []
    # The quick suite writes little beside its environments.
    done = empty.snakemake(*CONDA, PATH=conda.path, PYTHONPATH=full)
    assert done.returncode != 0
    size = re.search(r"still needs ([\d.]+) GB of disk in \S*\.snakemake/conda and", done.stderr)
    assert size is not None, done.stderr
    assert float(size[1]) > 5
    assert conda.created() == []
    done = empty.snakemake("--cores", "1", DEVIATIONS, PYTHONPATH=full)
    assert done.returncode == 0, "without conda there are no environments to make room for"


@pytest.mark.parametrize("option", ["-n", "--conda-create-envs-only"])
def test_planning_and_making_environments_need_no_gpu(
    empty: Checkout, conda: FakeConda, option: str
) -> None:
    done = empty.run("snakemake", *CONDA, option, PATH=conda.path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert len(conda.created()) == (0 if option == "-n" else 3)


def test_packages_of_the_user_reach_neither_pip_nor_a_job(
    empty: Checkout, conda: FakeConda, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    ask = "import site; print(site.getusersitepackages())"
    base, outside = os.path.realpath(sys.executable), {**os.environ, "HOME": str(home)}
    user = Path(subprocess.check_output([base, "-c", ask], env=outside, text=True).strip())
    assert user.is_relative_to(home)
    user.mkdir(parents=True)
    # Python runs this module of the user's wherever it looks at their packages at all.
    (user / "usercustomize.py").write_text("raise SystemExit('the packages of the user are seen')")
    assert subprocess.run([base, "-c", ""], env=outside, capture_output=True).returncode != 0
    (empty.folder / "own.smk").write_text(
        RULE.format(environment=empty.folder / "envs/report.yaml")
    )
    with empty.edited("config.yaml", ("custom_rules: []", "custom_rules: [own.smk]")):
        done = empty.snakemake("seen.txt", *CONDA, PATH=conda.path, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert str(user) not in (empty.folder / "seen.txt").read_text().splitlines()
    (call,) = conda.created()
    assert call.endswith("PYTHONNOUSERSITE=1")


def test_with_or_without_conda_what_is_done_stays_done(empty: Checkout, conda: FakeConda) -> None:
    done = empty.snakemake(DEVIATIONS, "--cores", "1")
    assert done.returncode == 0, done.stderr
    plan = (DEVIATIONS, "-n", "--quiet", "rules", "--use-conda")
    assert "Nothing to be done" in empty.snakemake(*plan, PATH=conda.path).stdout
    # Without the line that takes it out, Snakemake's own trigger would run it again.
    kept = ("- {\n        RerunTrigger.SOFTWARE_ENV\n    }", "")
    with empty.edited("workflow/rules/refusals.smk", kept):
        assert "deviations" in empty.snakemake(*plan, PATH=conda.path).stdout
