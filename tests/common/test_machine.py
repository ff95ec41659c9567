"""GPUs and disk: counted without torch, refused in one sentence."""

from collections import namedtuple
from pathlib import Path

import pytest

from tcmbench.common import machine
from tcmbench.common.errors import UserError

Usage = namedtuple("Usage", "total used free")
Status = namedtuple("Status", "st_dev")


def fake_driver(folder: Path, count: int) -> str:
    tool = folder / "nvidia-smi"
    lines = "".join(f"echo 'GPU {index}: toy (UUID: x)'\n" for index in range(count))
    tool.write_text(f"#!/bin/sh\n{lines}")
    tool.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("visible", "expected"), [("0", 1), ("0,1", 2), ("GPU-a, GPU-b,GPU-c", 3), ("", 0), ("-1", 0)]
)
def test_visible_devices_decide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, expected: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("PATH", fake_driver(tmp_path, 7))
    assert machine.gpu_count() == expected


@pytest.mark.parametrize("count", [0, 1, 4])
def test_else_the_driver_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{fake_driver(tmp_path, count)}:/bin:/usr/bin")
    assert machine.gpu_count() == count


def test_without_driver_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu_count() == 0


@pytest.mark.parametrize(
    ("full", "on_gpu", "limit", "expected"),
    [
        (False, False, 1, 1),
        (True, True, 1, 16),
        (True, True, 2, 8),
        (True, True, 5, 3),
        (True, True, 99, 1),
        (True, False, 1, 16),
        (True, True, None, 16),
    ],
)
def test_threads_keep_each_gpu_busy(
    monkeypatch: pytest.MonkeyPatch, full: bool, on_gpu: bool, limit: int | None, expected: int
) -> None:
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 16)
    assert machine.threads(full, on_gpu, limit) == expected


def test_missing_gpu_is_one_sentence_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpu_count", lambda: 0)
    machine.require_gpu("paper", 0)
    with pytest.raises(UserError, match=r"'paper' has 3 jobs that need a GPU.*device=cpu"):
        machine.require_gpu("paper", 3)
    monkeypatch.setattr(machine, "gpu_count", lambda: 1)
    machine.require_gpu("paper", 3)


def test_small_disk_is_one_sentence_with_both_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(0, 0, 77.8e9)

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    machine.require_disk("paper", {tmp_path / "not" / "yet": 77_000})
    assert asked == [tmp_path], "the nearest folder that exists is asked"
    with pytest.raises(UserError) as caught:
        machine.require_disk("paper", {tmp_path: 250_000})
    for part in ("250.0 GB", "77.8 GB", "check_disk=False", str(tmp_path)):
        assert part in str(caught.value)


@pytest.mark.parametrize("disks", [1, 2])
def test_folders_of_one_disk_are_added_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, disks: int
) -> None:
    data, environments = tmp_path / "data", tmp_path / "environments"
    for folder in (data, environments):
        folder.mkdir()
    number = {data: 0, environments: disks - 1}
    monkeypatch.setattr(Path, "stat", lambda path, **_: Status(number[path]))
    monkeypatch.setattr(machine, "_existing", lambda folder: folder)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(0, 0, 10e9))
    needed = {data: 6_000.0, environments: 5_000.0}
    if disks == 2:
        machine.require_disk("paper", needed)
        return
    with pytest.raises(UserError, match=r"needs 11\.0 GB of disk in .*data and .*environments and"):
        machine.require_disk("paper", needed)
