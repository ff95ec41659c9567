"""The plan of a suite: steps, memory, chunk, hours and storage by hand, and the command."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import plan as door
from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, check, train_config
from tcmbench.images.manifests import Item, write_manifest
from tcmbench.plan import gpus
from tcmbench.plan.memory import RESERVED_GB, Memory, fitting_chunk, memory_of
from tcmbench.plan.network import Work
from tcmbench.plan.objective import LossWork
from tcmbench.plan.rates import NONE, Rates, given, measured, rates_for
from tcmbench.plan.rows import plan, row_of
from tcmbench.plan.steps import steps_of
from tcmbench.plan.storage import storage_of
from tcmbench.training.settings import Settings
from tests.paths import ROOT
from tests.training.tiny_data import exit_code

LOSSES = ("smooth_ap", "recall_at_k")
HEADER = "backbone,loss,way,batch_size,chunk_size,precision,images_per_second,device\n"
COLUMNS = (
    *("dataset", "backbone", "loss", "variant", "tflop_per_step", "steps", "peak_gb"),
    *("chunk_size", "hours"),
)
H100 = gpus.named("H100")


def config(suite: dict[str, Any] | None = None, **plan: Any) -> Any:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["recipes"].append({"where": {"scale": "full"}, "set": plan or {"gamma": 0.3}})
    raw["suites"]["paper"] |= suite or {}
    return check(raw, datasets.names(), LOSSES)


def settings(dataset: str, backbone: str, loss: str, **plan: Any) -> Settings:
    run = Run(dataset, backbone, loss, "base", 0)
    return Settings.from_json(train_config(config(**plan), run))


# --- GPUs ---------------------------------------------------------------------------------------


def test_a_gpu_by_name_or_by_memory() -> None:
    assert gpus.chosen("nvidia h100", None) == H100
    assert gpus.chosen("a100-80gb", None).memory == 80
    assert gpus.chosen("A100", 60) == replace(gpus.named("A100"), memory=60)
    # Of 71, 121, 125 and 165 TFLOP/s with 24 GB; V100 and T4 have no bfloat16.
    assert gpus.chosen(None, 30).peaks("bfloat16") == (71, 71)
    assert gpus.chosen(None, 30).memory == 30
    assert gpus.chosen(None, 4).peaks("bfloat16") == (76.7, 76.7)


def test_precisions_and_their_peaks() -> None:
    """TF32 came with Ampere, as bfloat16 did; NVIDIA's data sheet of the H100 has 494 TFLOP/s."""
    assert gpus.named("T4").precision("auto") == gpus.named("T4").precision("tf32") == "float32"
    assert H100.precision("auto") == "tf32_backward"
    assert H100.precision("float16") == "float16"
    assert H100.peaks("float32") == (67, 67)
    assert H100.peaks("tf32_backward") == (67, 494.5)
    assert H100.peaks("tf32") == (494.5, 494.5)
    assert H100.peaks("float16") == (989, 989)
    # Where it is only emulated.
    assert gpus.named("T4").peaks("bfloat16") == (8.1, 8.1)


# --- steps --------------------------------------------------------------------------------------


def test_steps_from_published_counts(tmp_path: Path) -> None:
    # 5,690 classes of 57 or 58 have 14 times 4 images. A batch takes 1,000 classes until they are
    # empty: 5 times 14 batches, then 690 classes are too few.
    large = steps_of(settings("inat2018", "resnet50", "recall_at_k"), tmp_path)
    assert large == (70, 70 * 90, False, 5_690)
    # 11,318 classes of 5 or 6 have 4 images once: 117 x 96 = 11,232 classes.
    assert steps_of(settings("sop", "resnet50", "smooth_ap"), tmp_path)[:3] == (117, 11_700, False)


def test_a_prepared_manifest_gives_the_true_number_of_steps(tmp_path: Path) -> None:
    # 100 classes of 60, 41 to 59 and so on: few enough classes that batches of 100 leave much over.
    sizes = np.r_[np.full(60, 60), np.arange(41, 60), np.full(21, 50)]
    items = [
        Item(f"{label}/{place}.jpg", label, "name")
        for label, size in enumerate(sizes)
        for place in range(size)
    ]
    folder = tmp_path / "results/data/full/cub"
    folder.mkdir(parents=True)
    write_manifest(folder / "train.csv", items)
    # All 100 classes in every batch: as many as the smallest class has quadruples, 41 // 4.
    found = steps_of(settings("cub", "resnet50", "recall_at_k"), tmp_path)
    assert found == (10, 400, True, 100)


# --- memory -------------------------------------------------------------------------------------

PARTS = Memory(
    state=1000,
    batch=100,
    casts=10,
    activations=20,
    largest=1,
    loss=50,
    batch_size=40,
    kept_chunks=0,
)


def test_peak_by_hand() -> None:
    # One pass: the loss on top of all 40 graphs, or 5 % on top of them.
    assert PARTS.peak(40) == PARTS.peak(99) == 1110 + 40 * 20 + 50
    assert replace(PARTS, loss=0).peak(40) == 1110 + 40 * 20 * 1.05
    # Two: a chunk's graph, while the loss is over; of a small chunk the loss is more.
    assert PARTS.peak(10) == 1110 + 10 * 20 * 1.05
    assert PARTS.peak(1) == 1110 + 50
    # A kept chunk is there during the loss, and goes before the next is embedded again.
    assert replace(PARTS, kept_chunks=1).peak(10) == 1110 + 10 * 20 + 50
    assert replace(PARTS, kept_chunks=1, loss=0).peak(10) == 1110 + 10 * 20 + 3 * 10


@pytest.mark.parametrize(("limit", "chunk"), [(1960, 40), (1959, 39), (1320, 10), (1160, 2)])
def test_the_largest_chunk_by_hand(limit: float, chunk: int) -> None:
    assert PARTS.largest_chunk(limit) == chunk


def test_nothing_fits() -> None:
    assert PARTS.largest_chunk(1159) == 0


def test_parts_of_a_run() -> None:
    run = settings("inat2018", "resnet50", "recall_at_k")
    network = Work(
        forward=1, backward=2, activations=3, largest=2, casts=4, weights=4040, parameters=1000
    )
    found = memory_of(run, network, LossWork(operations=5, memory=6, parameters=7))
    # Weights with buffers, gradients and two means; the loss's own 7 four times.
    assert found.state == 4040 + 3 * 4 * 1000 + 4 * 4 * 7
    assert found.batch == 4000 * (3 * 224 * 224 + 2 * 4 * 512)
    assert (found.casts, found.activations, found.loss) == (4, 3, 6)


def test_the_chunk_of_a_run_on_a_gpu() -> None:
    auto = settings("cub", "resnet50", "smooth_ap")
    parts = replace(PARTS, batch_size=384, activations=20_000_000)
    assert fitting_chunk(auto, parts, 100) == 384
    assert fitting_chunk(auto, parts, RESERVED_GB + 2.1001) == 100
    fixed = settings("cub", "resnet50", "smooth_ap", chunk_size=7)
    assert fitting_chunk(fixed, parts, 100) == 7
    with pytest.raises(UserError, match=r"with chunks of 7 .* set chunk_size to auto, or take one"):
        fitting_chunk(fixed, parts, 1.4)
    learning = settings("cub", "resnet50", "smooth_ap", freeze_batch_norm=False)
    assert fitting_chunk(learning, parts, 100) == 384
    with pytest.raises(UserError) as error:
        fitting_chunk(learning, parts, 4)
    # 384 x 20 MB x 1.05, and what is reserved.
    assert str(error.value) == (
        "resnet50 with smooth_ap on cub needs 9.4 GB of GPU memory with chunks of 384 (batch_size "
        "384), and the GPU has 4; take one with more, of the named ones T4, V100, RTX A4000"
    )


# --- rates and hours ----------------------------------------------------------------------------


def test_hours_by_hand(tmp_path: Path) -> None:
    run = settings("inat2018", "resnet50", "recall_at_k")
    row = row_of(run, H100, 0.5, NONE, tmp_path)
    assert (row.steps, row.passes, row.batch_size) == (6_300, 2, 4_000)
    # 24.29 GFLOP an image and 8.18 for the second pass, the loss's 4 x 4,000^2 x 512.
    assert row.tflop_per_step == pytest.approx(4_000 * (24.293 + 8.176) / 1e3 + 0.0328, rel=1e-4)
    # Both forward passes and the loss in float32, the backward pass in TF32.
    forward, backward = 4_000 * 2 * 8.176 / 1e3 + 0.0328, 4_000 * (24.293 - 8.176) / 1e3
    seconds = 6_300 * (forward / 67 + backward / 494.5) / 0.5
    assert row.hours == pytest.approx(seconds / 3600, rel=1e-3)
    assert row.hours_from == "50 % of 67 TFLOP/s forward and 494.5 backward"
    # 3,000 images a second, a third of the time more for the second pass.
    rated = row_of(run, H100, 0.5, given("resnet50=3000", ["resnet50"]), tmp_path)
    assert rated.hours == pytest.approx(6_300 * 4_000 * 4 / 3 / 3_000 / 3600)
    assert rated.hours_from.startswith("ASSUMED, not measured: resnet50 3,000")


def test_kept_chunks_are_embedded_once(tmp_path: Path) -> None:
    def row(kept: int) -> Any:
        run = settings("inat2018", "resnet50", "recall_at_k", chunk_size=400, kept_chunks=kept)
        return row_of(run, replace(H100, memory=600), 0.4, NONE, tmp_path)

    none, half, all_but_one = row(0), row(5), row(10)
    second = none.tflop_per_step - all_but_one.tflop_per_step
    assert second == pytest.approx(4_000 * 8.176 / 1e3, rel=1e-4)
    assert half.tflop_per_step == pytest.approx(none.tflop_per_step - second / 2)
    assert (none.passes, half.passes, all_but_one.passes) == (2, 2, 1)


def table(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_measured_rates(tmp_path: Path) -> None:
    path = table(
        tmp_path / "steps_h200.csv",
        "resnet50,smooth_ap,JPEGs from disk,384,400,tf32,3600,NVIDIA H200",
        "resnet50,smooth_ap,JPEGs from disk,384,400,tf32,3000,NVIDIA H200",  # larger JPEGs
        "resnet50,smooth_ap,on the device,384,400,tf32,100,NVIDIA H200",
        "resnet50,recall_at_k,JPEGs from disk,4000,400,tf32,2500,NVIDIA H200",
        "vit_b16,smooth_ap,JPEGs from disk,384,400,tf32,1200,NVIDIA H200",
        "vit_b16,smooth_ap,JPEGs from disk,384,400,bfloat16,2000,NVIDIA H200",
    )
    rates = measured(path)
    assert rates.source == f"measured on NVIDIA H200: {path}"
    assert rates.values == {
        ("resnet50", "tf32", 1): 3000,
        ("resnet50", "tf32", 2): 2500,
        ("vit_b16", "tf32", 1): 1200,
        ("vit_b16", "bfloat16", 1): 2000,
    }
    # Measured in two passes: no factor. Not measured so: a third more. Not measured: nothing.
    assert rates.seconds("resnet50", "tf32", 5000, 1.0) == 2
    assert rates.seconds("vit_b16", "tf32", 1200, 1.0) == pytest.approx(4 / 3)
    assert rates.seconds("vit_b16", "tf32", 1200, 0.0) == 1
    assert rates.seconds("test_vit", "tf32", 1, 0.0) is None
    # Another precision has a rate of its own, or none; one that is given by hand is for any.
    assert rates.seconds("vit_b16", "bfloat16", 2000, 0.0) == 1
    assert rates.seconds("resnet50", "bfloat16", 1, 0.0) is None
    assert given("vit_b16=500", ["vit_b16"]).seconds("vit_b16", "tf32", 1000, 0.0) == 2


def test_rates_of_this_gpu_are_found(tmp_path: Path) -> None:
    row = "resnet50,smooth_ap,JPEGs from disk,384,400,tf32,{0},{1}"
    folder = tmp_path / "results/reference"
    table(folder / "steps_a.csv", row.format(1, "NVIDIA A100-SXM4-80GB"))
    table(folder / "steps_b.csv", row.format(2, "NVIDIA H100 80GB HBM3"))

    def found(name: str) -> Rates:
        return rates_for(None, gpus.named(name), ["resnet50"], tmp_path)

    assert found("H100").values == {("resnet50", "tf32", 1): 2}
    assert found("A100").values == {("resnet50", "tf32", 1): 1}
    assert found("A100 80GB").values == {("resnet50", "tf32", 1): 1}
    # Part of another's name, and the same chip on a slower card.
    assert all(found(name) is NONE for name in ("A10", "H200", "H100 PCIe"))


@pytest.mark.parametrize(
    "content",
    [
        "",
        HEADER.strip() + "\nr,l,JPEGs from disk\n",
        HEADER,
        "a,b\n1,2\n",
        HEADER + "r,l,JPEGs from disk,384,x,tf32,3000,H200\n",
    ],
)
def test_another_table_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "steps.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"is no table of bench_step\.py"):
        measured(path)
    with pytest.raises(UserError, match="does not exist; measure it"):
        measured(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["", "resnet50", "resnet50=", "r=fast", "=3", "r=-1", "r=0"])
def test_rates_by_hand_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="is not NAME=IMAGES_PER_SECOND"):
        given(text, ["resnet50"])
    with pytest.raises(UserError, match="names 'resnet5', no backbone here; did you mean"):
        given("resnet5=3", ["resnet50"])


# --- the whole ----------------------------------------------------------------------------------


def test_storage_by_hand() -> None:
    only = config({"datasets": ["cub"], "backbones": ["resnet50"], "losses": ["recall_at_k"]})
    runs = [
        Settings.from_json(train_config(only, Run("cub", "resnet50", "recall_at_k", variant, 0)))
        for variant in ("base", "tcm")
    ]
    found = storage_of(only, runs, H100)
    # 25.6 million parameters of ResNet-50 less its classifier's 2.05, and the head; batch norms'
    # 53,120 means and deviations, and 53 counters of 8 bytes.
    parameters = 23_508_032 + 2 * 2048 + 2048 * 512 + 512 + 1
    weights = 4 * (parameters + 53_120) + 8 * 53
    assert found.download == 1_150_585_339 + weights
    kept = 2 * (weights + 5_924 * 512 * 4)
    assert found.disk == found.download + 1_200_000_000 + 5_924 * 3 * 224 * 224 + kept


def test_seeds_and_points_have_rows_of_their_own(tmp_path: Path) -> None:
    raw = config({"datasets": ["cub"], "backbones": ["resnet50"], "seeds": [0, 1]})
    raw["suites"]["paper"]["sweep"] = [{"batch_size": [48, 96]}]
    found = plan(raw, H100, 0.4, NONE, tmp_path)
    assert len({(r.loss, r.variant, r.seed) for r in found}) == len(found) == 16
    assert {r.loss for r in found} >= {"smooth_ap~batch_size=48", "recall_at_k~batch_size=96"}


def call(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    code = exit_code(door, "--config", ROOT / "config.yaml", *arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--suite", "paper", "--gpu-memory", "24", "--price", "2.5", "--csv", "plan.csv")
    code, printed, _ = call(capsys, *words)
    assert code == 0
    with Path("plan.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 32
    wanted = [
        "dataset",
        "backbone",
        "loss",
        "variant",
        "tflop_per_step",
        "steps",
        "peak_gb",
        "chunk_size",
        "hours",
    ]
    assert set(wanted) < set(rows[0])
    hours = sum(float(row["hours"]) for row in rows)
    assert f"total {hours:.1f} GPU-hours, {2.5 * hours:,.2f} at 2.5 an hour" in printed
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(2.5 * hours)
    # Batch 4,000 is trained in 24 GB, with 1.3 of them left over.
    assert {row["batch_size"] for row in rows} == {"384", "392", "400", "4000"}
    assert all(float(row["peak_gb"]) <= 24 - RESERVED_GB for row in rows)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    assert all(base["variant"] == "base" and tcm["variant"] == "tcm" for base, tcm in pairs)
    lines = printed.splitlines()
    assert len({len(line) for line in lines[1:34]}) == 1
    assert "Hours are made from: 40 % of 35.6 TFLOP/s forward and 35.6 backward." in printed


def test_the_command_with_rates(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call(capsys, "--gpu", "H100", "--rates", "resnet50=3000,vit_b16=1200")
    assert code == 0
    assert "ASSUMED, not measured: resnet50 3,000, vit_b16 1,200 images/s" in printed
    code, printed, _ = call(capsys, "--gpu", "H100", "--rates", "resnet50=3000")
    assert code == 0
    assert "resnet50 3,000 images/s forward and backward; 40 % of 67 TFLOP/s forward and" in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--gpu", "H1000"), "GPU 'H1000' is not in the table; did you mean 'H100'? (any other"),
        (("--gpu", "xyz"), "GPU 'xyz' is not in the table; known: A10, A100, A100 80GB, B200, "),
        (("--gpu-memory", "2"), "vit_b16 with smooth_ap on cub needs 2."),
        ((), "the plan needs a GPU; name it by --gpu, or its memory by --gpu-memory GB"),
        (("--suite", "papers", "--gpu", "H100"), "config.yaml key 'suite' names an unknown"),
        (
            ("--suite", "quick", "--gpu", "H100"),
            "results/data/miniature/cub/train.csv is not there, and nothing else says how many",
        ),
        (("--config", "none.yaml", "--gpu", "H100"), "none.yaml cannot be read"),
    ],
)
def test_refusals(
    tmp_path: Path, monkeypatch: Any, capsys: Any, words: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, said = call(capsys, *words)
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith(f"error: {sentence}")


@pytest.mark.parametrize("words", [("--gpu-memory", "0"), ("--share", "1.5"), ("--price", "x")])
def test_numbers_that_are_none(capsys: Any, words: tuple[str, str]) -> None:
    assert exit_code(door, *words) == 2
    assert "invalid" in capsys.readouterr().err


def test_help_says_how_numbers_are_made(capsys: Any) -> None:
    assert exit_code(door, "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("counted by torch", "drawn by the sampler", "share of the GPU's published peak"):
        assert part in said
