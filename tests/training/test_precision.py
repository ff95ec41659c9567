"""Precisions of a step: what is rounded, by a processor that rounds as tensor cores do."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tcmbench.common.precision import float32_products
from tcmbench.models.network import EmbeddingModel, ModelSpec
from tcmbench.training import precision as choice
from tcmbench.training.objective import Objective
from tcmbench.training.precision import chosen_precision
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import Passes, backward
from tests.benchmarks.tensor_cores import TensorCores, tf32

GENERATOR = torch.Generator().manual_seed(3)
IMAGES = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.arange(4).repeat_interleave(3)
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SPECS = {
    "resnet": ModelSpec("test_resnet", "gem", True, 16, freeze_batch_norm=True),
    "vit": ModelSpec("test_vit", "avg", True, 16, False, {"img_size": 32, "patch_size": 8}),
}


def test_precision_is_chosen_by_the_device(monkeypatch):
    for capability, auto in (((7, 5), "float32"), ((8, 0), "tf32_backward"), ((9, 0), None)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)  # noqa: B023
        assert chosen_precision("auto", GPU) == (auto or "tf32_backward")
        assert chosen_precision("tf32", GPU) == ("float32" if auto == "float32" else "tf32")
        for name in ("float32", "float16", "bfloat16"):
            assert chosen_precision(name, GPU) == name
    assert chosen_precision("auto", CPU) == chosen_precision("tf32", CPU) == "float32"
    assert chosen_precision("bfloat16", CPU) == "bfloat16"


def test_tf32_keeps_ten_bits_and_rounds_halves_away_from_zero():
    ulp = 2.0**-10
    values = {1.0: 1.0, 1 + ulp: 1 + ulp, 1 + ulp / 2: 1 + ulp, -1 - ulp / 2: -1 - ulp}
    values |= {1 + ulp / 2 - 2.0**-23: 1.0, 3 - ulp: 3.0, 2.0**-100: 2.0**-100}
    assert tf32(torch.tensor(list(values))).tolist() == list(values.values())


SWITCHES = {
    "matrices": torch.backends.cuda.matmul,
    "convolutions": torch.backends.cudnn.conv,
    "processor": torch.backends.mkldnn.matmul,
}


def switches():
    return [switch.fp32_precision for switch in SWITCHES.values()]


@pytest.fixture
def set_switches():
    """A way to set all of them, for the length of a test."""

    def set_all(values):
        for switch, value in zip(SWITCHES.values(), values, strict=True):
            switch.fp32_precision = value

    before = switches()
    yield set_all
    set_all(before)


class Watched(nn.Module):
    """A loss with a product that shows what the cores did before it and to it."""

    def __init__(self, cores):
        super().__init__()
        self.cores = cores

    def forward(self, embeddings, labels):
        self.before = dict(self.cores.counts)
        similarity = embeddings @ embeddings.T
        self.after = dict(self.cores.counts)
        self.seen = embeddings.detach().clone()
        # Random networks give all images one direction; this pulls each to its own.
        return similarity.mean() + (embeddings * torch.eye(12, 16)).sum()


def step(network, precision, chunk=5):
    """Counts until the loss, of its product, and after it; its embeddings; the gradients."""
    torch.manual_seed(1)
    model = EmbeddingModel(SPECS[network]).train()
    objective = Objective(LossSpec("smooth_ap", {}), None)
    with TensorCores() as cores, sdpa_kernel(SDPBackend.MATH):
        loss = objective.base = Watched(cores)
        objective.shares = set()
        backward(model, objective, IMAGES, LABELS, Passes(chunk, 0, precision))
    changes = [loss.before, less(loss.after, loss.before), less(cores.counts, loss.after)]
    gradient = torch.cat([value.grad.flatten() for value in model.parameters()])
    return changes, loss.seen, gradient


def less(counts, others):
    return {kind: counts[kind] - others[kind] for kind in counts}


@pytest.mark.parametrize("network", SPECS)
@pytest.mark.parametrize("chunk", [5, 12])
def test_what_tf32_rounds(network, chunk, set_switches):
    # As an environment variable of some containers sets it.
    set_switches(["tf32", "tf32", "none"])
    exact, embeddings, gradient = step(network, "float32", chunk)
    assert [counts["tf32"] + counts["half"] for counts in exact] == [0, 0, 0]
    until, product, after = (counts["float32"] for counts in exact)
    assert product == 1
    changes, seen, found = step(network, "tf32_backward", chunk)
    # After the loss: its own product's backward pass, and the forward pass of a batch in chunks.
    again = until if chunk < len(IMAGES) else 0
    assert changes[2]["float32"] in (again + 1, again + 2)
    assert [counts["tf32"] for counts in changes] == [0, 0, after - changes[2]["float32"]]
    assert torch.equal(seen, embeddings)
    assert not torch.equal(found, gradient)
    assert (found - gradient).norm() < 2e-3 * gradient.norm()
    changes, seen, _ = step(network, "tf32", chunk)
    assert [counts["tf32"] for counts in changes][:2] == [until, 0]
    assert changes[1]["float32"] == 1
    assert 1e-6 < (seen - embeddings).abs().max() < 5e-3


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_leaves_the_head_and_the_loss(half):
    changes, _, gradient = step("resnet", half)
    assert changes[1] == {"float32": 1, "tf32": 0, "half": 0}
    # Three chunks go through one linear projection each.
    assert changes[0]["float32"] == 3
    assert changes[0]["half"] > 30
    assert changes[0]["tf32"] == changes[2]["tf32"] == 0
    assert gradient.isfinite().all()


def test_the_scale_of_the_loss_is_that_of_the_gradients():
    torch.manual_seed(1)
    model = EmbeddingModel(SPECS["resnet"]).train()
    found = []
    for scale in (1.0, 1024.0):
        copied = copy.deepcopy(model)
        objective = Objective(LossSpec("smooth_ap", {}), {"margin_negative": 0.1})
        terms = backward(
            *(copied, objective, IMAGES, LABELS, Passes(5)),
            scale=lambda loss: loss * scale,  # noqa: B023
        )
        found.append((terms, [value.grad for value in copied.parameters()]))
    (terms, gradients), (scaled_terms, scaled) = found
    assert terms == scaled_terms
    # A power of two changes no bit of the fraction.
    assert all(torch.equal(1024 * a, b) for a, b in zip(gradients, scaled, strict=True))


@pytest.mark.parametrize("before", ["tf32", "ieee"])
def test_switches_are_overruled_and_come_back(set_switches, before):
    set_switches([before] * 3)
    with float32_products():
        assert switches() == ["ieee"] * 3
        with float32_products(tf32=True):
            assert switches() == ["tf32", "tf32", "ieee"]
        assert switches() == ["ieee"] * 3
    with pytest.raises(KeyError), float32_products(tf32=True):
        raise KeyError
    assert switches() == [before] * 3


def test_older_switches_keep_their_word():
    torch.set_float32_matmul_precision("medium")
    try:
        with float32_products():
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_the_default_of_torch_would_round_convolutions():
    """The reason for all this: without a word, a GPU's convolutions are not float32."""
    model = EmbeddingModel(SPECS["resnet"])
    with TensorCores() as cores:
        model(IMAGES.float())
    assert cores.counts["tf32"] > 0


def test_a_gpu_without_tf32_is_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    assert not choice.has_tf32(GPU)
    assert not choice.has_tf32(CPU)
