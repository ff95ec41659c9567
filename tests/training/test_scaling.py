"""Loss scaling in float16: skipped steps, their count, and the checkpoint that keeps both."""

import csv
import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tcmbench.training.journal import Watching
from tcmbench.training.loop import Training, train
from tcmbench.training.scaling import Scaling
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop
from tests.benchmarks.tensor_cores import TensorCores
from tests.training.tiny_data import BATCHES, config, margins

CPU = torch.device("cpu")
# Too large by some powers of two.
START = 22


def stepped(scaling, gradient):
    """Take a step of plain descent at rate 1 whose gradient is given; return the weight."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.tensor([gradient])
    scaling.step(optimizer)
    return weight.item()


def test_an_overflow_skips_the_step_and_halves_the_scale():
    scaling = Scaling("float16", CPU)
    one = torch.ones(())
    assert scaling.scale(one).item() == 65536
    # Gradients are those of the scaled loss.
    assert stepped(scaling, 0.25 * 65536) == 0.75
    assert (scaling.skipped(), scaling.scale(one).item()) == (0, 65536)
    for times, value in enumerate((float("inf"), float("nan")), start=1):
        assert stepped(scaling, value) == 1.0
        assert (scaling.skipped(), scaling.scale(one).item()) == (times, 65536 / 2**times)
    other = Scaling("float16", CPU)
    other.load_state_dict(scaling.state_dict())
    assert (other.skipped(), other.scale(one).item()) == (2, 16384)


def test_a_growing_scale_is_no_skipped_step():
    scaling = Scaling("float16", CPU)
    scaling.scaler.set_growth_interval(1)
    stepped(scaling, 1.0)
    assert scaling.scale(torch.ones(())).item() == 2 * 65536
    assert scaling.skipped() == 0


@pytest.mark.parametrize("precision", ["float32", "tf32_backward", "bfloat16"])
def test_outside_float16_nothing_is_scaled(precision):
    scaling = Scaling(precision, CPU)
    loss = torch.tensor(0.5)
    assert scaling.scale(loss) is loss
    assert stepped(scaling, 0.25) == 0.75
    assert (scaling.skipped(), scaling.counted()) == (None, {})
    scaling.load_state_dict(scaling.state_dict())


def halved(tiny_set, **changes):
    return Settings.from_json(config(tiny_set, epochs=2, precision="float16", **changes))


@pytest.fixture
def cores():
    """Float16 as a GPU multiplies it; the processor itself would take minutes."""
    with TensorCores() as found:
        yield found


def overflowing(training):
    """Begin with a scale at which gradients overflow."""
    training.engine.scaling.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**START)
    return training


@pytest.mark.parametrize("changes", [{}, margins()])
def test_a_stopped_training_goes_on_with_its_scale(tiny_set, cores, tmp_path, changes):
    settings = halved(tiny_set, **changes)
    watching = Watching(log_seconds=0, checkpoint_minutes=0)
    whole = overflowing(Training(settings, tmp_path / "whole", "cpu", watching))
    whole.run(Stop())
    whole.finish()
    assert cores.counts["half"] > 0
    record = json.loads((tmp_path / "whole/run.json").read_text())
    assert record["precision"] == "float16"
    skipped = record["skipped_steps"]
    assert 1 < skipped < 2 * BATCHES
    rows = list(csv.DictReader((tmp_path / "whole/log.csv").read_text().splitlines()))
    assert [int(row["skipped_steps"]) for row in rows][-1] == skipped

    stop = Stop()
    part = overflowing(Training(settings, tmp_path / "part", "cpu", watching))
    steps = part.engine.step

    def stopping(*batch):
        terms = steps(*batch)
        if part.course.steps == 2:
            stop.signal = 15
        return terms

    part.engine.step = stopping
    with pytest.raises(SystemExit):
        part.run(stop)
    rest = Training(settings, tmp_path / "part", "cpu", watching)
    rest.resume()
    assert rest.engine.scaling.skipped() == 3
    assert rest.engine.scaling.scaler.get_scale() == 2.0 ** (START - 3)
    rest.run(Stop())
    rest.finish()
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "part")]
    assert weights[0] == weights[1]
    assert json.loads((tmp_path / "part/run.json").read_text())["skipped_steps"] == skipped


def test_other_precisions_record_no_skipped_steps(tiny_set, tmp_path):
    train(Settings.from_json(config(tiny_set, epochs=1)), tmp_path, "cpu")
    assert json.loads((tmp_path / "run.json").read_text())["skipped_steps"] is None
    (row,) = csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    assert row["skipped_steps"] == ""


class Waits(TorchDispatchMode):
    """Counts how often a number is read from a tensor, which on a GPU waits for all work."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_fused_optimiser_is_not_waited_for():
    """The optimiser of a GPU, which also runs on a processor."""
    scaling = Scaling("float16", CPU)
    weights = [torch.nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2)]
    ours, plain = (torch.optim.Adam([weight], lr=0.1, fused=True) for weight in weights)
    scale = scaling.scale(torch.ones(())).item()
    with Waits() as waits:
        for gradient in ([0.5, -0.25], [float("inf"), 1.0], [0.125, 1.0]):
            weights[0].grad = torch.tensor(gradient) * scale
            scaling.step(ours)
            scale = scale / 2 if gradient[0] == float("inf") else scale
    assert waits.count == 0
    for gradient in ([0.5, -0.25], [0.125, 1.0]):
        weights[1].grad = torch.tensor(gradient)
        plain.step()
    assert torch.equal(*weights)
    assert scaling.skipped() == 1
