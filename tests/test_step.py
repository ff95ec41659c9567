"""Two passes over a batch give the gradients of one, to the rounding of float64."""

import numpy as np
import pytest
import torch
from torch import nn

from tcmbench.models import EmbeddingModel, ModelSpec
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import backward

GENERATOR = torch.Generator().manual_seed(3)
IMAGES = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.arange(4).repeat_interleave(3)


class Double(nn.Module):
    """The embedding network in float64, so that only rounding of 1e-16 is left."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        spec = ModelSpec("test_resnet", "gem", True, 16, freeze_batch_norm=True)
        self.model = EmbeddingModel(spec).double().train()
        self.sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        return self.model(images.double())


def stepped(chunk_size, loss="smooth_ap", tcm=True):
    model = Double()
    regularizer = {"margin_positive": 0.9, "margin_negative": 0.1} if tcm else None
    objective = Objective(LossSpec(loss, {}), regularizer)
    terms = backward(model, objective, IMAGES, LABELS, chunk_size)
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return terms, gradients, model.sizes


@pytest.mark.parametrize("loss", ["smooth_ap", "recall_at_k"])
@pytest.mark.parametrize("tcm", [False, True])
def test_two_passes_equal_one(loss, tcm):
    terms, expected, sizes = stepped(12, loss, tcm)
    chunked, found, chunks = stepped(5, loss, tcm)
    assert sizes == [12]
    assert chunks == [5, 5, 2, 5, 5, 2]
    assert terms.keys() == chunked.keys() == ({"total", "base", "tcm"} if tcm else {"total"})
    for name, term in terms.items():
        assert term.item() == pytest.approx(chunked[name].item(), abs=1e-10)
        assert not term.requires_grad
    for name, gradient in expected.items():
        assert torch.allclose(gradient, found[name], rtol=0, atol=1e-10), name
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3


def test_gradients_add_up_over_calls():
    _, once, _ = stepped(12)
    model = Double()
    objective = Objective(LossSpec("smooth_ap", {}), {"margin_negative": 0.1})
    for chunk_size in (12, 7):
        backward(model, objective, IMAGES, LABELS, chunk_size)
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, 2 * once[name], rtol=0, atol=1e-10)


def test_total_is_base_plus_regularizer():
    terms, _, _ = stepped(12)
    base, _, _ = stepped(12, tcm=False)
    assert terms["base"].item() == pytest.approx(base["total"].item(), abs=1e-12)
    assert terms["total"].item() == pytest.approx((terms["base"] + terms["tcm"]).item(), abs=1e-12)
    embeddings = Double()(torch.stack([normalized(image) for image in IMAGES])).detach().numpy()
    assert terms["tcm"].item() == pytest.approx(margin(embeddings, LABELS.tolist()), abs=1e-10)


def normalized(image):
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return (image.float() / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


def margin(embeddings, labels):
    """The formula of arXiv 2307.04047 as a loop, margins 0.9 and 0.1, weights 1."""
    positive, negative = [], []
    for i, j in np.argwhere(~np.eye(len(labels), dtype=bool)):
        similarity = float(embeddings[i] @ embeddings[j])
        if labels[i] == labels[j] and similarity <= 0.9:
            positive.append(0.9 - similarity)
        if labels[i] != labels[j] and similarity >= 0.1:
            negative.append(similarity - 0.1)
    return sum(np.mean(values) for values in (positive, negative) if values)
