"""What can go wrong with a training: said before it starts, or in one sentence when it happens."""

import json
import multiprocessing

import pytest
import torch

import train as door
from tcmbench.common.errors import UserError
from tcmbench.images.loading import TrainingView
from tcmbench.images.manifests import read_manifest, write_manifest
from tcmbench.training import crew
from tcmbench.training.checkpoint import NAME
from tcmbench.training.engine import Engine
from tcmbench.training.failures import explained
from tcmbench.training.loop import Watching, train
from tcmbench.training.settings import Settings
from tests.training.tiny_data import BATCHES, config, exit_code

LOSS = """
import torch
from torch import nn

class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, embeddings, labels):
        self.calls += 1
        {harm}
        return embeddings.sum()
"""


def with_loss(tiny_set, folder, harm, **changes):
    file = folder / "loss.py"
    file.write_text(LOSS.format(harm=harm))
    return config(tiny_set, loss={"name": "mine", "params": {}, "file": str(file)}, **changes)


def run(values, folder, **more):
    train(Settings.from_json(values), folder, "cpu", **more)


@pytest.mark.parametrize(
    ("changes", "kept", "sentence"),
    [
        ({"batch_size": 27}, 8, r"a batch of 27 needs 9 classes of 3 images, .* has 8 such"),
        ({"batch_size": 12}, 3, r"a batch of 12 needs 4 classes of 3 images, .* has 3 such"),
        ({"samples_per_class": 6, "batch_size": 54}, 8, r"a batch of 54 needs 9 classes"),
        ({"samples_per_class": 8, "batch_size": 16}, 8, r"needs 2 classes of 8 .* has 0 such"),
        ({"batch_size": 600}, 8, r"a batch of 600 needs 200 classes of 3 images"),
    ],
)
def test_too_little_data_is_said_before_a_gpu_is_taken(
    tiny_set, tmp_path, monkeypatch, changes, kept, sentence
):
    items = [item for item in read_manifest(tiny_set / "train.csv") if item.label < 10 + kept]
    write_manifest(tmp_path / "train.csv", items)

    def claimed(device):
        raise AssertionError(device)

    monkeypatch.setattr(crew, "claim_device", claimed)
    values = config(tiny_set, manifest=str(tmp_path / "train.csv"), **changes)
    with pytest.raises(UserError, match=sentence):
        run(values, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tiny_set, tmp_path, value):
    harm = f"if self.calls == 7: return embeddings.sum() * float('{value}')"
    values = with_loss(tiny_set, tmp_path, harm)
    with pytest.raises(UserError, match=r"the loss became -?(nan|inf) in epoch 2, step 3 \(cla"):
        run(values, tmp_path / "run", watching=Watching(checkpoint_minutes=0))
    state = torch.load(tmp_path / "run" / NAME, weights_only=True)["state"]
    assert (state["course"]["epoch"], state["course"]["step"]) == (1, 2)
    assert all(torch.isfinite(value).all() for value in state["engine"]["model"].values())
    assert not (tmp_path / "run/model.safetensors").exists()


def test_weights_that_are_no_number_are_never_saved(tiny_set, tmp_path):
    """The loss is finite to the end, its last gradient is not; no other loss follows."""
    harm = f"if self.calls == {BATCHES}: embeddings.register_hook(lambda g: g * float('inf'))"
    values = with_loss(tiny_set, tmp_path, harm, epochs=1)
    with pytest.raises(UserError, match=r"^the weights are no longer finite in epoch 1, step 4 \("):
        run(values, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".training.lock", "log.csv"}


def test_memory_of_the_processor(tiny_set, tmp_path):
    # Torch itself refuses so much.
    values = with_loss(tiny_set, tmp_path, "torch.empty(2**60)")
    with pytest.raises(UserError) as error:
        run(values, tmp_path / "run")
    assert str(error.value) == (
        "this machine has too little memory for this training; lower chunk_size (12) or "
        "kept_chunks (0), batch_size (12), or the cores it is given (a process each loads images)"
    )


def test_memory_of_the_gpu_and_of_python(tiny_set, tmp_path, monkeypatch):
    def harmed(error):
        def step(*arguments):
            raise error

        monkeypatch.setattr(Engine, "step", step)
        with pytest.raises(UserError) as told:
            run(config(tiny_set, chunk_size=5, kept_chunks=1), tmp_path / "run")
        return str(told.value)

    assert harmed(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")) == (
        "the GPU has too little memory for this training; lower chunk_size (5, halved to 2) or "
        "kept_chunks (1)"
    )
    assert harmed(MemoryError()).startswith("this machine has too little memory")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_loading_process_that_the_system_ends(tiny_set, tmp_path, monkeypatch):
    def ended(view, draws):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(TrainingView, "__getitems__", ended)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    usual = multiprocessing.get_start_method()
    # As Python 3.14 would start it; forked all the same, it has what is set above.
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        with pytest.raises(
            UserError, match=r"^a process that loads images was ended, .* fewer cores"
        ):
            run(config(tiny_set), tmp_path / "run")
    finally:
        multiprocessing.set_start_method(usual, force=True)
        torch.set_num_threads(threads)


def test_other_errors_stay_what_they_are(tiny_set):
    settings = Settings.from_json(config(tiny_set))
    with pytest.raises(RuntimeError, match="shape"), explained(settings):
        raise RuntimeError("shape '[3]' is invalid")


def test_a_compiler_that_fails(tiny_set, tmp_path, monkeypatch, capsys):
    """No C++ compiler: torch says so at length, this project in a line."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch._dynamo.reset()
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config(tiny_set, compile=True)))
    words = ("--config", file, "--out", tmp_path / "run", "--device", "cpu")
    import torch._inductor.config as compiler

    with compiler.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert exit_code(door, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("error: torch.compile fails here (")
    assert line.endswith("); set training.compile to false")
