"""The chunk that `auto` takes, with a pretended memory; and what a lack of memory leads to."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tcmbench.common.errors import UserError
from tcmbench.training import chunk, loop
from tcmbench.training.chunk import Chunk, largest, measured, peak_bytes
from tcmbench.training.engine import Engine
from tcmbench.training.loop import Watching, train
from tcmbench.training.settings import AUTO, Settings
from tests.training.tiny_data import BATCHES, config, margins

CPU = torch.device("cpu")
OFTEN = Watching(checkpoint_minutes=0)


def engine(tiny_set, **changes):
    return Engine(Settings.from_json(config(tiny_set, **changes)), 8, CPU)


@pytest.mark.parametrize("limit", [100, 101, 399, 400, 799, 1000, 3999, 4000, 399_999, 400_000])
def test_the_largest_is_found_within_a_sixteenth(limit):
    tried = []

    def cost(size):
        tried.append(size)
        return 100 * size

    found = largest(4000, cost, limit)
    true = min(4000, limit // 100)
    assert true - max(1, true // 16) < found <= true
    assert len(tried) < 20


def test_nothing_fits():
    assert largest(4000, lambda size: 100 * size, 99) == 0
    assert largest(1, lambda size: 100 * size, 100) == 1


class Pretended:
    """A GPU on which a step takes 1,000 bytes for each image of its chunk."""

    def __init__(self, monkeypatch):
        self.trials = []
        original = chunk.backward

        def backward(model, objective, images, labels, passes):
            original(model, objective, images, labels, passes)
            torch.rand(1), np.random.rand()  # noqa: NPY002 (as a loss may)
            self.trials.append((passes.chunk_size, len(images)))

        def peak(device, action):
            action()
            return 1000 * self.trials[-1][0]

        monkeypatch.setattr(chunk, "backward", backward)
        monkeypatch.setattr(chunk, "peak_bytes", peak)


@pytest.mark.parametrize(("limit", "size"), [(12_000, 12), (5_999, 5), (1_000, 1)])
def test_auto_within_a_pretended_memory(tiny_set, monkeypatch, limit, size):
    gpu = Pretended(monkeypatch)
    made = engine(tiny_set, chunk_size=AUTO, **margins())
    weights = {name: value.clone() for name, value in made.model.state_dict().items()}
    before, others = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert measured(made, limit) == size
    # One pass is tried with the whole batch, two passes with two chunks.
    assert all(
        images == (12 if tried == 12 else min(12, 2 * tried)) for tried, images in gpu.trials
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], others)  # noqa: NPY002
    assert all(parameter.grad is None for parameter in made.model.parameters())
    assert all(torch.equal(weights[name], new) for name, new in made.model.state_dict().items())
    assert made.optimizer.state_dict()["state"] == {}


def test_auto_that_cannot_fit(tiny_set, monkeypatch):
    Pretended(monkeypatch)
    with pytest.raises(
        UserError, match=r"^test_resnet with batches of 12 does not fit the 0\.0 GB"
    ):
        measured(engine(tiny_set), 999)


def test_auto_on_a_gpu_asks_for_its_memory(tiny_set, monkeypatch, capsys):
    """The GPU's answers are pretended; the trials run on the processor."""
    Pretended(monkeypatch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6_000, 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 1_500)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    made = engine(tiny_set, chunk_size=AUTO)

    class Device:
        type = "cuda"

    monkeypatch.setattr(chunk.rng, "state", lambda device: None)
    monkeypatch.setattr(chunk.rng, "set_state", lambda state, device: None)
    monkeypatch.setattr(chunk.torch, "zeros", lambda *shape, device, **more: ZEROS(*shape, **more))
    made.device = Device()
    # 95 % of 7,500 bytes are 7,125.
    assert chunk.chosen(made) == Chunk(7, "measured")
    assert capsys.readouterr().err == "chunk_size auto: 7 images at once fit 0.0 GB\n"


ZEROS = torch.zeros


def test_a_trial_that_runs_out_of_memory_costs_too_much(monkeypatch):
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 7)

    def fail():
        raise torch.OutOfMemoryError

    assert peak_bytes(CPU, lambda: None) == 7
    assert peak_bytes(CPU, fail) == math.inf


def test_the_rule_on_a_processor_and_for_batch_norms_that_learn(tiny_set):
    assert engine(tiny_set, chunk_size=AUTO).chunk == Chunk(12, "rule")
    assert engine(tiny_set, chunk_size=AUTO, batch_size=120).chunk == Chunk(64, "rule")
    model = {**config(tiny_set)["model"], "freeze_batch_norm": False}
    assert engine(tiny_set, chunk_size=AUTO, batch_size=120, model=model).chunk.size == 120
    assert engine(tiny_set, chunk_size=5).chunk == Chunk(5, "set")
    values = config(tiny_set)
    del values["optimization"]["chunk_size"]
    assert Settings.from_json(values).optimization.chunk_size == AUTO
    with pytest.raises(UserError, match="'chunk_size' must be at least 1, not many"):
        engine(tiny_set, chunk_size="many")


# --- a lack of memory ---------------------------------------------------------------------------


def failing(monkeypatch, *numbers):
    """Let these calls of a step, from 1, find no memory."""
    original, calls = Engine.step, []

    def step(self, *arguments):
        calls.append(self.passes.chunk_size)
        if len(calls) in numbers:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *arguments)

    monkeypatch.setattr(Engine, "step", step)
    return calls


def run(values, folder, **more):
    train(Settings.from_json(values), folder, "cpu", **more)
    return json.loads((folder / "run.json").read_text()), load_file(folder / "model.safetensors")


def assert_close(found, expected):
    # Adam turns a rounding of a gradient near 0 into a part of its step, which is 1e-3.
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=2e-3, atol=2e-4)


@pytest.fixture
def whole(tiny_set, tmp_path):
    return run(config(tiny_set, **margins()), tmp_path / "whole")


def test_half_the_chunk_from_the_checkpoint(tiny_set, tmp_path, monkeypatch, capsys, whole):
    calls = failing(monkeypatch, 6)
    record, weights = run(config(tiny_set, **margins()), tmp_path / "run", watching=OFTEN)
    # Five steps were saved; the sixth is taken again.
    assert calls == [12] * 6 + [6] * (3 * BATCHES - 5)
    assert record["chunk_sizes"] == [
        {"from_step": 0, "size": 12, "origin": "set"},
        {"from_step": 5, "size": 6, "origin": "halved"},
    ]
    assert record["chunk_size"] == 6
    assert record["steps"] == 3 * BATCHES
    said = "the GPU ran out of memory with 12 images at once; going on after step 5 with 6"
    assert said in capsys.readouterr().err.splitlines()
    assert_close(weights, whole[1])
    assert record["loss_curve"] == pytest.approx(whole[0]["loss_curve"], rel=1e-3)


def test_half_the_chunk_from_the_start(tiny_set, tmp_path, monkeypatch, capsys, whole):
    """Nothing was saved; what an older run left in the folder is not taken up unasked."""
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        failing(patch, 6, 7)
        with pytest.raises(UserError):
            run(config(tiny_set, **margins()), folder, watching=OFTEN)
    assert (folder / "last.ckpt").exists()
    failing(monkeypatch, 3)
    record, weights = run(config(tiny_set, **margins()), folder)
    assert "going on after step 0 with 6" in capsys.readouterr().err
    assert record["chunk_sizes"] == [{"from_step": 0, "size": 6, "origin": "halved"}]
    assert_close(weights, whole[1])


def test_twice_is_a_sentence(tiny_set, tmp_path, monkeypatch):
    failing(monkeypatch, 6, 8)
    with pytest.raises(UserError) as error:
        run(config(tiny_set, **margins(), chunk_size=AUTO), tmp_path / "run", watching=OFTEN)
    assert str(error.value) == (
        "the GPU has too little memory for this training; lower chunk_size (12, halved to 6) or "
        "kept_chunks (0)"
    )
    # What was reached is kept: a call on a larger GPU goes on from there.
    state = torch.load(tmp_path / "run/last.ckpt", weights_only=True)["state"]
    assert state["course"]["steps"] == 6


@pytest.mark.parametrize("changes", [{"chunk_size": 1}, {"learning": True}])
def test_what_is_not_halved(tiny_set, tmp_path, monkeypatch, changes):
    values = config(tiny_set, chunk_size=changes.get("chunk_size", 12))
    values["model"]["freeze_batch_norm"] = "learning" not in changes
    calls = failing(monkeypatch, 1)
    with pytest.raises(UserError, match=r"too little memory .* chunk_size \((1|12)\) or"):
        run(values, tmp_path / "run")
    assert len(calls) == 1


def test_another_chunk_continues_a_run(tiny_set, tmp_path, monkeypatch, capsys, whole):
    """As on another card: the same run, and weights equal up to rounding."""
    folder, save = tmp_path / "run", loop.checkpoint.save

    def last(to, parts, state):
        save(to, parts, state)
        if state["course"]["steps"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoint, "save", last)
        with pytest.raises(KeyboardInterrupt):
            run(config(tiny_set, **margins()), folder, watching=OFTEN)
    capsys.readouterr()
    values = config(tiny_set, **margins(), chunk_size=5, kept_chunks=1)
    record, weights = run(values, folder, resume=True)
    assert "starting over" not in capsys.readouterr().err
    assert [entry["from_step"] for entry in record["chunk_sizes"]] == [0, 5]
    assert_close(weights, whole[1])


def test_the_chunk_is_part_of_a_run_whose_batch_norms_learn(tiny_set):
    def identity(chunk_size, frozen):
        values = config(tiny_set, chunk_size=chunk_size)
        values["model"]["freeze_batch_norm"] = frozen
        return loop.checkpoint.identity(Settings.from_json(values), CPU, torch.float32)

    assert identity(12, True) == identity(AUTO, True)
    assert identity(12, False) != identity(5, False)
