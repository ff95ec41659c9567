"""The preflight: its small form for real, what it finds missing, and its verdict."""

import csv
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from torch import nn

import preflight as door
from tcmbench.download.links import BY_HAND, OK, Link
from tcmbench.images.loading import ViewSpec
from tcmbench.plan.rates import measured
from tcmbench.preflight import checks, outlook, work
from tcmbench.preflight.checks import Check
from tcmbench.preflight.photographs import write_photographs
from tcmbench.preflight.report import verdict
from tcmbench.preflight.rows import DEVICE, DISK, WITHOUT, Row, write_csv
from tests.paths import ROOT
from tests.training.tiny_data import exit_code

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configuration with one network in the quick suite."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["suites"]["quick"]["backbones"] = ["test_resnet"]
    path = tmp_path_factory.mktemp("preflight") / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def row(way: str, seconds: float, workers: int = 7) -> Row:
    sizes = {"batch_size": 400, "chunk_size": 400, "kept_chunks": 0}
    return Row("resnet50", "smooth_ap", "500x375", way, **sizes, precision="tf32_backward",
               compiled=False, workers=workers, seconds=seconds, memory_mb=9000.0)  # fmt: skip


def ways(disk: float, workers: int = 7) -> list[Row]:
    return [row(DISK, disk, workers), row(DEVICE, 1.0, workers), row(WITHOUT, 0.99, workers)]


def test_a_gpu_embeds_for_all_loading_processes(tmp_path: Path, monkeypatch) -> None:
    """A batch is loaded by one process: a few of them would say nothing of many processes."""
    write_photographs(tmp_path, 10, 2, (64, 48), distinct=3)
    loaded = []
    monkeypatch.setattr(work, "load_batches", lambda view, keys, pinned: loaded.extend(keys))
    monkeypatch.setattr(work, "embedded", lambda *_: None)
    steps = SimpleNamespace(engine=SimpleNamespace(model=nn.Identity()))
    steps.settings = SimpleNamespace(view=ViewSpec(36, 32, (0.7, 1.0), 0.5))
    assert work._embedded(steps, tmp_path, torch.device("cuda")) > 0
    assert [len(keys) for keys in loaded] == 40 * [512]


def test_the_small_form_runs(small: Path, tmp_path: Path, capsys) -> None:
    table = tmp_path / "steps.csv"
    words = ("--suite", "quick", "--device", "cpu", "--offline", "--csv", table)
    assert exit_code(door, *words, "--config", small) == 0
    captured = capsys.readouterr()
    assert captured.err.count(" images/s from JPEGs, ") == 2
    output = captured.out.splitlines()
    assert sum(line.startswith("test_resnet ") for line in output) == 2
    assert any(line.startswith("evaluation of 2,000 images: ") for line in output)
    assert output[-1] == "ready on cpu"
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(one["loss"], one["way"]) for one in rows} == {
        (loss, way) for loss in ("smooth_ap", "recall_at_k") for way in (DISK, DEVICE, WITHOUT)
    }
    # The plan takes the slower of both losses' steps from disk as the network's rate.
    slowest = min(float(one["images_per_second"]) for one in rows if one["way"] == DISK)
    assert measured(table).values == {("test_resnet", "float32", 1): slowest}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_full_scale_needs_a_gpu(tmp_path: Path, capsys) -> None:
    assert exit_code(door, "--config", ROOT / "config.yaml") == 2
    assert "--suite quick --device cpu" in capsys.readouterr().err


def test_pictures_are_as_many_as_asked_for_and_few_are_distinct(tmp_path: Path) -> None:
    kilobytes = write_photographs(tmp_path, 10, 2, (64, 48), distinct=3)
    files = sorted(tmp_path.glob("*.jpg"))
    assert len(files) == 10
    assert len({file.read_bytes() for file in files}) == 3
    assert kilobytes == pytest.approx(sum(f.stat().st_size for f in files) / 1e4)
    assert (tmp_path / "train.csv").read_text().count("\n") == 11


Usage = namedtuple("Usage", "total used free")


def test_disk_counts_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive").write_bytes(b"x" * 1000)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: Usage(0, 0, 5 * 10**9))
    assert checks.disk(5 * 10**9 + 1000, tmp_path).missing == ""
    # 7 GB and 1,000 bytes in all, 1,000 there, 5 GB free: 2 GB are missing.
    assert checks.disk(7 * 10**9 + 1000, tmp_path / "new").missing == "2 GB of disk"


def test_shared_memory_is_that_of_the_loading_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB, as a container has by default; 15 processes hand over 3 parts of 64 images each."""
    monkeypatch.setattr(checks, "SHARED", Path("/"))
    monkeypatch.setattr(checks, "LOADED_AT_ONCE", 64)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: Usage(0, 0, 64 * 10**6))
    # 15 x 3 x 64 x 3 x 224 x 224 bytes.
    assert checks.shared_memory(15, 224).missing.startswith("0.4 GB of shared memory")
    assert checks.shared_memory(0, 224).missing == ""


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.resource, "getrlimit", lambda kind: (256, 4096))
    assert checks.open_files().missing == "ulimit -n 1024"


def test_a_file_without_a_mirror_that_works_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "suite": "s",
        "suites": {"s": {"scale": "full", "datasets": ["cub"], "backbones": ["resnet50"]}},
        "backbones": {"resnet50": {"timm": "resnet50.a1_in1k", "weights": "hub"}},
    }
    links = [
        Link("cub", "a.tgz", "x", "http://x", "refused"),
        Link("cub", "a.tgz", "y", "http://y", OK),
        Link("cub", "b.mat", "x", "http://x", "refused"),
        Link("cub", "c.mat", "", "", BY_HAND),
    ]
    monkeypatch.setattr(checks, "check", lambda *_: links)
    monkeypatch.setattr(checks, "answers", lambda *_: "no route")
    mirrors, weights = checks.network(config, 1.0)
    assert mirrors.found == "1 of 4 answer"
    assert mirrors.missing == "cub/b.mat (by hand: docs/data.md)"
    assert (weights.found, weights.missing) == ("no route", "weights of resnet50")


def test_the_verdict() -> None:
    fine, short = Check("disk", "enough"), Check("disk", "little", "2 GB of disk")
    assert verdict("H100", ways(1.05), [fine], 15.6) == "ready: about 16 h on H100"
    assert verdict("H100", ways(1.05), [fine, short], 15.6) == "not ready: 2 GB of disk"
    slow = verdict("H100", ways(1.5), [fine], 15.6)
    assert slow.endswith("on H100, but images come too slowly for resnet50: give it more cores")
    # With no process of its own the loader takes its time between the steps, on purpose.
    assert verdict("cpu", ways(1.5, workers=0), [fine], None) == "ready on cpu"


def test_hours_come_from_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of CUB with ResNet-50: 560 steps of 384 images at 400 images/s are 537.6 s."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["suites"]["paper"] |= {
        "datasets": ["cub"],
        "backbones": ["resnet50"],
        "losses": ["smooth_ap"],
        "variants": ["base"],
    }
    from tcmbench import datasets
    from tcmbench.config.check import check

    config = check(raw, datasets.names(), ("smooth_ap", "recall_at_k"))
    table = tmp_path / "steps.csv"
    write_csv(table, ways(1.0), CPU)
    gpu = torch.device("cuda")
    monkeypatch.setattr(outlook, "device_name", lambda device: "NVIDIA H100 80GB HBM3")
    Properties = namedtuple("Properties", "total_memory")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties(80 * 10**9))
    monkeypatch.chdir(tmp_path)
    assert outlook.hours(config, gpu, table) == pytest.approx(560 * 384 / 400 / 3600)
    assert outlook.hours(config, CPU, table) is None
    assert outlook.gpu_of(gpu).memory == 80
    assert str(outlook.usual_table(gpu)).startswith(
        "results/reference/steps_nvidia-h100-80gb-hbm3_torch"
    )
