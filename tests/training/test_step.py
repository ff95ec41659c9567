"""Two passes over a batch give the gradients of one, to the rounding of float64."""

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn

from tcmbench.models.network import EmbeddingModel, ModelSpec
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import Passes, backward

GENERATOR = torch.Generator().manual_seed(3)
IMAGES = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.arange(4).repeat_interleave(3)
MARGINS = {"margin_positive": 0.9, "margin_negative": 0.1}


class Double(nn.Module):
    """The embedding network in float64, so that only rounding of 1e-16 is left."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        spec = ModelSpec("test_resnet", "gem", True, 16, freeze_batch_norm=True)
        self.model = EmbeddingModel(spec).double().train()
        self.sizes = []
        self.graphs = []

    def forward(self, images):
        self.sizes.append(len(images))
        self.graphs.append(torch.is_grad_enabled())
        return self.model(images.double())


def stepped(chunk_size, loss="smooth_ap", tcm=True, kept=0):
    model = Double()
    objective = Objective(LossSpec(loss, {}), MARGINS if tcm else None)
    terms = backward(model, objective, IMAGES, LABELS, Passes(chunk_size, kept))
    return terms, gradients_of(model), model


def gradients_of(model):
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def assert_equal(expected, found, tolerance=1e-10):
    for name, gradient in expected.items():
        assert torch.allclose(gradient, found[name], rtol=0, atol=tolerance), name
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3


@pytest.mark.parametrize("loss", ["smooth_ap", "recall_at_k"])
@pytest.mark.parametrize("tcm", [False, True])
def test_two_passes_equal_one(loss, tcm):
    terms, expected, once = stepped(12, loss, tcm)
    chunked, found, twice = stepped(5, loss, tcm)
    assert once.sizes == [12]
    assert twice.sizes == [5, 5, 2, 5, 5, 2]
    assert twice.graphs == [False] * 3 + [True] * 3
    assert terms.keys() == chunked.keys() == ({"total", "base", "tcm"} if tcm else {"total"})
    for name, term in terms.items():
        assert term.item() == pytest.approx(chunked[name].item(), abs=1e-10)
        assert not term.requires_grad
    assert_equal(expected, found)


@pytest.mark.parametrize(
    ("kept", "sizes", "graphs"),
    [
        (1, [5, 5, 2, 5, 2], [True, False, False, True, True]),
        (2, [5, 5, 2, 2], [True, True, False, True]),
        (9, [5, 5, 2, 2], [True, True, False, True]),
    ],
)
def test_kept_chunks_go_once(kept, sizes, graphs):
    _, expected, _ = stepped(12)
    _, found, model = stepped(5, kept=kept)
    assert model.sizes == sizes
    assert model.graphs == graphs
    assert_equal(expected, found)


class Chancy(nn.Module):
    """Dropout, stochastic depth and a learnable projection on a few pixels, in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = (nn.Linear(size, 24).double() for size in (48, 24))
        self.drop, self.path = nn.Dropout(0.4), DropPath(0.5)

    def forward(self, images):
        rows = self.drop(torch.tanh(self.first(images[:, :, :4, :4].flatten(1).double())))
        return nn.functional.normalize(rows + self.path(self.second(rows)), dim=1)


class Noisy(nn.Module):
    """A loss that draws random numbers."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, embeddings, labels):
        return self.base(embeddings + 0.01 * torch.randn_like(embeddings), labels)


def chancy(kept, one_graph=False):
    """Gradients with chance in the network and in the loss, and the random number that follows."""
    model, objective = Chancy(), Objective(LossSpec("smooth_ap", {}), MARGINS)
    objective.base, objective.shares = Noisy(objective.base), set()
    torch.manual_seed(5)
    if one_graph:
        # All chunks in one graph, which nothing has to be replayed for.
        from tcmbench.images.loading import normalize

        outputs = torch.cat([model(normalize(chunk)) for chunk in IMAGES.split(5)])
        objective(outputs, LABELS)["total"].backward()
    else:
        backward(model, objective, IMAGES, LABELS, Passes(5, kept))
    return gradients_of(model), torch.rand(3)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_chance_is_the_same_in_both_passes(kept):
    expected, after = chancy(0, one_graph=True)
    found, next_numbers = chancy(kept)
    assert_equal(expected, found)
    # What is drawn later does not depend on how many chunks went twice.
    assert torch.equal(after, next_numbers)


def test_mixed_precision_is_the_same_in_both_passes():
    """On a processor, where autocast computes in bfloat16 too."""

    def mixed(kept, precision):
        torch.manual_seed(1)
        spec = ModelSpec("test_resnet", "gem", True, 16, freeze_batch_norm=True)
        model = EmbeddingModel(spec).train()
        types = []
        for kind in (nn.Conv2d,):
            layer = next(module for module in model.modules() if isinstance(module, kind))
            layer.register_forward_hook(lambda *call: types.append(call[2].dtype))
        objective = Objective(LossSpec("smooth_ap", {}), MARGINS)
        terms = backward(model, objective, IMAGES, LABELS, Passes(5, kept, precision))
        return terms, gradients_of(model), types

    terms, kept, types = mixed(2, "bfloat16")
    again, twice, more = mixed(0, "bfloat16")
    assert set(types) == set(more) == {torch.bfloat16}
    assert (len(types), len(more)) == (4, 6)
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert terms == again
    assert all(torch.equal(kept[name], twice[name]) for name in kept)
    _, exact, whole = mixed(0, "float32")
    assert set(whole) == {torch.float32}
    flat = [torch.cat([g.flatten() for g in found.values()]) for found in (twice, exact)]
    assert nn.functional.cosine_similarity(*flat, dim=0) > 0.98


class Halved(nn.Module):
    """A loss that shows in which type it is called and what autocast would make of its product."""

    def forward(self, embeddings, labels):
        self.types = embeddings.dtype, (embeddings @ embeddings.T).dtype
        return embeddings.sum()


def test_the_objective_is_in_float32_inside_autocast():
    objective = Objective(LossSpec("smooth_ap", {}), None)
    objective.base, objective.shares = Halved(), set()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective(torch.eye(4, dtype=torch.bfloat16), torch.arange(4))
    assert objective.base.types == (torch.float32, torch.float32)


def test_gradients_add_up_over_calls():
    _, once, _ = stepped(12)
    model = Double()
    objective = Objective(LossSpec("smooth_ap", {}), {"margin_negative": 0.1})
    for chunk_size in (12, 7):
        backward(model, objective, IMAGES, LABELS, Passes(chunk_size))
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, 2 * once[name], rtol=0, atol=1e-10)


def test_total_is_base_plus_regularizer():
    terms, _, _ = stepped(12)
    base, _, _ = stepped(12, tcm=False)
    assert terms["base"].item() == pytest.approx(base["total"].item(), abs=1e-12)
    assert terms["total"].item() == pytest.approx((terms["base"] + terms["tcm"]).item(), abs=1e-12)
    embeddings = Double()(torch.stack([normalized(image) for image in IMAGES])).detach().numpy()
    value, _ = margin(embeddings, LABELS.tolist())
    assert terms["tcm"].item() == pytest.approx(value, abs=1e-10)


def test_active_shares_are_counted_when_watched():
    objective = Objective(LossSpec("smooth_ap", {}), MARGINS)
    rows = nn.functional.normalize(torch.randn(12, 2, generator=GENERATOR, dtype=torch.float64))
    terms = objective(rows, LABELS, watched=True)
    value, shares = margin(rows.numpy(), LABELS.tolist())
    assert 0 < shares[1] < shares[0] < 1
    assert terms["tcm"].item() == pytest.approx(value, abs=1e-10)
    found = [terms[name].item() for name in ("active_positive", "active_negative")]
    assert found == pytest.approx(shares, abs=1e-6)
    assert objective(rows, LABELS).keys() == {"total", "base", "tcm"}
    base = Objective(LossSpec("smooth_ap", {}), None)
    assert base(rows, LABELS, watched=True).keys() == {"total"}


def normalized(image):
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return (image.float() / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


def margin(embeddings, labels):
    """The formula of arXiv 2307.04047 as a loop, margins 0.9 and 0.1, weights 1.

    Also the shares of the positive and of the negative pairs that are active.
    """
    terms, pairs = {True: [], False: []}, {True: 0, False: 0}
    for i, j in np.argwhere(~np.eye(len(labels), dtype=bool)):
        similarity = float(embeddings[i] @ embeddings[j])
        same = labels[i] == labels[j]
        pairs[same] += 1
        if same and similarity <= 0.9:
            terms[same].append(0.9 - similarity)
        if not same and similarity >= 0.1:
            terms[same].append(similarity - 0.1)
    value = sum(np.mean(values) for values in terms.values() if values)
    return value, [len(terms[same]) / pairs[same] for same in (True, False)]
