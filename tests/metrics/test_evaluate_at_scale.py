"""The evaluation command on large files: mapped, estimated, refused or accepted, interrupted."""

import hashlib
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import evaluate
from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError
from tcmbench.metrics import opis
from tcmbench.metrics.estimate import budget, trial
from tcmbench.metrics.estimate.budget import Asked, Work
from tcmbench.metrics.estimate.trial import Machine, this_machine
from tcmbench.metrics.io.reading import read_embeddings
from tcmbench.metrics.io.written import write_utility
from tcmbench.metrics.scoring import OpisResult
from tests.metrics.references import clustered

DOOR = Path(evaluate.__file__)
GB = 10**9
LAPTOP = Machine("cpu", flops=1e11, map_rate=2e7, free=16 * GB)
H200 = Machine("cuda", flops=5e13, map_rate=2e9, free=100 * GB, free_on_gpu=140 * GB)


def run(*argv):
    try:
        run_command(evaluate.parser(), evaluate.command, [str(word) for word in argv])
    except SystemExit as leave:
        return leave.code
    return 0


@pytest.fixture
def pair(tmp_path):
    embeddings, labels = clustered(0, count=100)
    np.save(tmp_path / "e.npy", embeddings.astype(np.float16))
    np.save(tmp_path / "l.npy", labels)
    return tmp_path / "e.npy", tmp_path / "l.npy"


@pytest.fixture
def million(tmp_path):
    """2 GB of zeros that take no space on the disk."""
    rows = np.lib.format.open_memmap(
        tmp_path / "million.npy", "w+", dtype=np.float32, shape=(10**6, 512)
    )
    del rows
    np.save(tmp_path / "labels.npy", np.arange(10**6) // 10)
    return "--embeddings", tmp_path / "million.npy", "--labels", tmp_path / "labels.npy"


def test_a_pair_of_npy_files_in_half_precision(pair, tmp_path):
    out = tmp_path / "m.json"
    assert run("--embeddings", pair[0], "--labels", pair[1], "--out", out) == 0
    expected = opis(np.load(pair[0]), np.load(pair[1]))
    found = json.loads(out.read_text())
    assert found["opis"] == expected.opis
    for name, file in zip(("embeddings", "labels"), pair, strict=True):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert found["provenance"][f"{name}_sha256"] == digest


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_mapped_not_read(pair, tmp_path, order):
    assert isinstance(read_embeddings(*pair)[0], np.memmap)
    rows = np.asarray(np.load(pair[0]), order=order)
    np.savez(
        tmp_path / "e.npz", paths=np.array(["a"] * 100), embeddings=rows, labels=np.load(pair[1])
    )
    found = read_embeddings(tmp_path / "e.npz")
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in found)
    np.testing.assert_array_equal(found[0], rows)
    np.testing.assert_array_equal(found[1], np.load(pair[1]))


def test_compressed_archives_are_read(pair, tmp_path):
    np.savez_compressed(tmp_path / "e.npz", embeddings=np.load(pair[0]), labels=np.load(pair[1]))
    found = read_embeddings(tmp_path / "e.npz")
    assert not isinstance(found[0], np.memmap)
    np.testing.assert_array_equal(found[0], np.load(pair[0]))


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        for name in ("embeddings", "labels"):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array_header_1_0(
                    stream, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 512)}
                )
    with pytest.raises(UserError, match="is shorter than its header says"):
        read_embeddings(tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"1,2\n", "holds several arrays"),
        (b"PK\x03\x04", "is not a whole .npz"),
        ("short", "is not a whole .npy"),
        ("objects", "holds Python objects, which are not opened"),
        (None, "does not exist"),
    ],
)
def test_unusable_npy(pair, tmp_path, capsys, content, sentence):
    whole = pair[1].read_bytes()
    if content is None:
        pair[1].unlink()
    elif content == "objects":
        np.save(pair[1], np.array([{}] * 100), allow_pickle=True)
    else:
        pair[1].write_bytes(whole[:500] if content == "short" else content)
    out = tmp_path / "m.json"
    assert run("--embeddings", pair[0], "--labels", pair[1], "--out", out) == 2
    error = capsys.readouterr().err
    assert "l.npy" in error
    assert sentence in error
    assert error.count("\n") == 1


def test_map_at_r_by_faiss_or_not_at_all(pair, tmp_path):
    found = {}
    for search in ("exact", "faiss", "none"):
        out = tmp_path / f"{search}.json"
        files = ("--embeddings", pair[0], "--labels", pair[1], "--out", out)
        assert run(*files, "--map-at-r", search, "--device", "cpu") == 0
        found[search] = json.loads(out.read_text())
    assert found["faiss"]["map_at_r"] == pytest.approx(found["exact"]["map_at_r"], abs=1e-9)
    how = {"index": "Flat", "agreement": 1.0, "sample": 100}
    assert found["faiss"]["map_at_r_search"] == how
    assert (found["none"]["map_at_r"], found["none"]["map_at_r_search"]) == (None, "none")


# The estimate, with hardware that is not here.


def work(count, search="exact", curves=0):
    return Work(count, 512, count // 10, 10, Asked(101, search, curves))


def test_estimate_by_hand():
    # 10^6 images: 5e11 pairs, 1,024 operations each, 1e11 a second, counting 1.8: 9,216 s.
    # MAP@R: 5e11 pairs at 2e7 a second.
    alone = budget.estimate(work(10**6, search="none"), LAPTOP)
    assert alone.seconds == pytest.approx(9216, rel=1e-5)
    assert budget.estimate(work(10**6), LAPTOP).seconds == pytest.approx(9216 + 25_000, rel=1e-5)
    with_curves = budget.estimate(work(10**6, "none", curves=50), LAPTOP)
    assert with_curves.seconds == pytest.approx(9216 / 1.8 * 9.8, rel=1e-5)
    assert with_curves.memory == alone.memory + 500_000_000
    # By faiss: 10^5 images all of the matrix, 10^10 x 1,024 / 1e11 s; 10^6 by cells.
    full, half = (budget.estimate(work(10**5, search), LAPTOP) for search in ("faiss", "none"))
    assert full.seconds - half.seconds == pytest.approx(102.4, rel=1e-4)
    assert budget.estimate(work(10**6, "faiss"), LAPTOP).seconds == pytest.approx(10_240, rel=1e-5)
    # Unit rows 2.048 GB, 200 bytes an image, tables 0.5 GB, 10.1 million curve points of 100 bytes.
    assert alone.memory == 2_048_000_000 + 200_000_000 + 500_000_000 + 1_010_000_000
    assert alone.memory_on_gpu is None
    assert budget.estimate(work(10**6), H200).memory_on_gpu == 6_248_000_000


def decide(asked, machine, max_hours=2.0):
    budget.require(asked, machine, budget.estimate(asked, machine), max_hours)


def test_a_million_images_are_for_a_gpu():
    with pytest.raises(UserError) as refusal:
        decide(work(10**6), LAPTOP)
    assert str(refusal.value) == (
        "1,000,000 images would take about 9.5 h here, more than 2 h; try --device cuda, "
        "try --map-at-r faiss or none, or raise --max-hours"
    )
    decide(work(10**6), H200)
    decide(work(10**6), LAPTOP, max_hours=10)
    decide(work(136_093, search="none"), LAPTOP)


def test_memory_that_is_not_there_is_refused():
    small = Machine("cpu", 1e15, 1e15, free=3 * GB)
    with pytest.raises(UserError, match=r"need 3.8 GB of memory and 3.0 GB are free on this mach"):
        decide(work(10**6), small)
    gpu = Machine("cuda", 1e15, 1e15, free=100 * GB, free_on_gpu=6 * GB)
    with pytest.raises(UserError, match=r"need 6.2 GB of memory and 6.0 GB are free on the GPU"):
        decide(work(10**6), gpu)


def test_the_trial_measures_this_machine():
    found = this_machine(64, "cpu", largest=None)
    assert 1e8 < found.flops < 1e14
    assert found.map_rate == float("inf")
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert 0 < found.free <= int(memory["MemTotal"].split()[0]) * 1024
    assert found.free_on_gpu is None
    assert 1e3 < this_machine(8, "cpu", largest=4).map_rate < 1e12


def test_free_memory_is_what_a_container_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "Path", lambda name: tmp_path / name.lstrip("/"))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:   8000 kB\n")
    assert trial._free() == 8_192_000
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("1000\n")
    for limit, free in (("max\n", 8_192_000), ("5000\n", 4000), ("99000000\n", 8_192_000)):
        (group / "memory.max").write_text(limit)
        assert trial._free() == free


# End to end, on a file of a million images.


def hardware(monkeypatch, machine):
    asked = []
    monkeypatch.setattr(budget, "this_machine", lambda *words: asked.append(words) or machine)
    monkeypatch.setattr("tcmbench.common.devices.claim_kind", lambda wanted: machine.device)
    return asked


def test_a_million_images_are_refused_on_a_laptop(million, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tcmbench.evaluation.measure", lambda *_: pytest.fail("computed"))
    asked = hardware(monkeypatch, LAPTOP)
    before = sorted(tmp_path.iterdir())
    start = time.process_time()
    assert run(*million, "--out", tmp_path / "m.json", "--map-at-r", "exact") == 2
    assert time.process_time() - start < 5
    estimate, error = capsys.readouterr().err.splitlines()
    assert estimate.startswith(
        "1,000,000 images of 512 dimensions, 500.0 billion pairs: about 9.5 h and 3.8 GB of memory"
        " (16.0 GB free) on cpu, from a trial product at 100 GFLOP/s and a trial of MAP@R"
    )
    assert error.startswith("error: ")
    assert "--device cuda" in error
    assert asked == [(512, "cpu", 10)]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("way", ["cuda", "hours"])
def test_a_million_images_are_accepted(million, tmp_path, monkeypatch, capsys, way):
    class ReachedError(Exception):
        pass

    def measure(embeddings, labels, _definition, device, _search, shares):
        assert isinstance(embeddings, np.memmap)
        assert (embeddings.shape, labels.shape) == ((10**6, 512), (10**6,))
        raise ReachedError(device)

    monkeypatch.setattr("tcmbench.evaluation.measure", measure)
    hardware(monkeypatch, H200 if way == "cuda" else LAPTOP)
    options = ("--device", "cuda") if way == "cuda" else ("--max-hours", 10)
    with pytest.raises(ReachedError, match="cuda" if way == "cuda" else "cpu"):
        run(*million, "--out", tmp_path / "m.json", *options)
    assert "1,000,000 images" in capsys.readouterr().err


def test_the_real_machine_decides_by_the_real_trial(million, tmp_path):
    # No machine does this in a millisecond; memory and all else are as they are here.
    words = (*million, "--out", tmp_path / "m.json", "--max-hours", 1e-6, "--map-at-r", "none")
    done = subprocess.run(
        [sys.executable, DOOR, *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, "")
    estimate, error = done.stderr.splitlines()
    assert "500.0 billion pairs: about " in estimate
    assert error.startswith("error: ")
    assert not (tmp_path / "m.json").exists()


def test_no_gpu_in_one_sentence(pair, tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    files = ("--embeddings", pair[0], "--labels", pair[1], "--out", tmp_path / "m.json")
    assert run(*files, "--device", "cuda") == 2
    assert "no GPU is visible to this process; choose cpu" in capsys.readouterr().err


def test_interrupt_leaves_nothing_behind(tmp_path):
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "e.npz",
        embeddings=draw.normal(size=(19_999, 512)).astype(np.float32),
        labels=np.arange(19_999) // 7,
    )
    outputs = [f"--{name}={tmp_path / name}.x" for name in ("out", "utility", "curves", "classes")]
    process = subprocess.Popen(
        [sys.executable, DOOR, "--embeddings", tmp_path / "e.npz", *outputs],
        stderr=subprocess.PIPE,
        text=True,
    )
    # The temporary files show that the computing is about to start.
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".classes.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


def test_progress_counts_every_pair(tmp_path, monkeypatch):
    from tcmbench.common import progress
    from tcmbench.evaluation import measuring

    draw = np.random.default_rng(0)
    rows, labels = draw.normal(size=(2500, 8)), draw.integers(0, 300, 2500)
    np.savez(tmp_path / "e.npz", embeddings=rows, labels=labels)
    shown = []

    class Spied(progress.Progress):
        def __exit__(self, *words):
            shown.append((self.done, self.total, self.unit))

    monkeypatch.setattr(measuring, "Progress", Spied)
    assert run("--embeddings", tmp_path / "e.npz", "--out", tmp_path / "m.json") == 0
    pairs = 2500 * 2499 // 2
    assert shown == [(pairs, pairs, "pairs")]


def test_curves_of_all_products_are_written_in_seconds(tmp_path):
    classes, thresholds = 11_316, 101
    draw = np.random.default_rng(0)
    curves = draw.random((3, classes, thresholds))
    result = OpisResult(
        0.0, 0.0, 0.5, 1.0, np.linspace(0.5, 1, thresholds), *curves,
        curves[0, 0], curves[0, 0], np.arange(classes) * 3, 60_502, classes, 0,
    )  # fmt: skip
    start = time.process_time()
    write_utility(tmp_path / "u.parquet", result)
    assert time.process_time() - start < 5
    table = pq.read_table(tmp_path / "u.parquet")
    assert table.num_rows == classes * thresholds
    np.testing.assert_array_equal(table["specificity"], curves[2].ravel())
    np.testing.assert_array_equal(table["class"], np.repeat(np.arange(classes) * 3, thresholds))
