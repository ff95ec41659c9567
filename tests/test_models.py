"""The embedding network: its head by formula, frozen batch norms, and its weight files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tcmbench.errors import UserError
from tcmbench.models import EmbeddingModel, GeM, ModelSpec, load_tensors, save_tensors

RESNET = ModelSpec("test_resnet", "avg", True, 16, True)
VIT = ModelSpec("test_vit", "avg", True, 16, True, {"img_size": 32, "patch_size": 8})
IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def built(spec):
    torch.manual_seed(0)
    model = EmbeddingModel(spec)
    # Fresh layer norms change nothing visible: give them something to do.
    for parameter in model.norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return model.eval()


def by_hand(model, spec):
    """The head in NumPy, on the features that timm gives."""
    features = model.backbone.forward_features(IMAGES).detach().double().numpy()
    if spec.pooling == "token":
        pooled = features[:, 0]
    elif features.ndim == 3:
        pooled = features[:, model.backbone.num_prefix_tokens :].mean(axis=1)
    elif spec.pooling == "avg":
        pooled = features.mean(axis=(2, 3))
    else:
        pooled = (np.maximum(features, 1e-6) ** 3).mean(axis=(2, 3)) ** (1 / 3)
    if spec.layer_norm:
        centred = pooled - pooled.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        pooled = centred / deviation * as_array(model.norm.weight) + as_array(model.norm.bias)
    projected = pooled @ as_array(model.project.weight).T + as_array(model.project.bias)
    return projected / np.sqrt((projected**2).sum(axis=1, keepdims=True))


def as_array(tensor):
    return tensor.detach().double().numpy()


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize(
    ("spec", "pooling"), [(RESNET, "avg"), (RESNET, "gem"), (VIT, "avg"), (VIT, "token")]
)
def test_head_by_hand(spec, pooling, layer_norm):
    spec = replace(spec, pooling=pooling, layer_norm=layer_norm)
    model = built(spec)
    found = model(IMAGES).detach()
    assert found.shape == (4, 16)
    assert torch.allclose(found.norm(dim=1), torch.ones(4), atol=1e-6)
    assert np.allclose(found.numpy(), by_hand(model, spec), atol=1e-5)


def test_gem_between_mean_and_maximum():
    features = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    # ((1 + 8 + 27 + 64) / 4) ** (1/3) = 25 ** (1/3)
    assert GeM()(features).item() == pytest.approx(25 ** (1 / 3))
    assert GeM(exponent=1.0)(features).item() == pytest.approx(2.5)
    assert GeM(exponent=60.0)(features.double()).item() == pytest.approx(4.0, rel=0.03)
    # Features below the floor, such as negative ones, count as 1e-6.
    assert GeM()(-features).item() == pytest.approx(1e-6)


def test_gem_learns_its_exponent():
    pool, values = GeM().double(), np.array([0.5, 1.0, 2.5, 4.0])
    pool(torch.from_numpy(values).view(1, 1, 2, 2)).sum().backward()
    by_formula = lambda p: (values**p).mean() ** (1 / p)  # noqa: E731
    expected = (by_formula(3 + 1e-5) - by_formula(3 - 1e-5)) / 2e-5
    assert pool.exponent.grad.item() == pytest.approx(expected, rel=1e-6)


def trained(spec):
    """Return the batch norms' running values and affine parameters, before and after two steps."""
    model = EmbeddingModel(spec)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    states = [[{k: v.clone() for k, v in m.state_dict().items()} for m in norms]]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model.train()
        optimizer.zero_grad()
        model(IMAGES)[:, 0].sum().backward()
        optimizer.step()
    states.append([m.state_dict() for m in norms])
    return states


def unchanged(states, key):
    return all(torch.equal(a[key], b[key]) for a, b in zip(*states, strict=True))


def test_frozen_batch_norm_keeps_its_statistics_and_learns_its_scale():
    states = trained(RESNET)
    assert len(states[0]) > 3
    assert all(unchanged(states, k) for k in ("running_mean", "running_var", "num_batches_tracked"))
    assert not unchanged(states, "weight")
    assert not unchanged(states, "bias")


def test_free_batch_norm_follows_the_data():
    assert not unchanged(trained(replace(RESNET, freeze_batch_norm=False)), "running_mean")


def test_weights_come_back_bit_by_bit(tmp_path):
    first, second = EmbeddingModel(RESNET), EmbeddingModel(RESNET)
    save_tensors(first, tmp_path / "new" / "model.safetensors")
    load_tensors(second, tmp_path / "new" / "model.safetensors")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    save_tensors(second, tmp_path / "again.safetensors")
    again = (tmp_path / "again.safetensors").read_bytes()
    assert again == (tmp_path / "new" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"timm": "test_resnett"}, "timm cannot build 'test_resnett' with no arguments (Unknown"),
        ({"model_args": {"depht": 3}}, "timm cannot build 'test_resnet' with {'depht': 3} ("),
        ({"pooling": "gme"}, "pooling 'gme' is unknown; did you mean 'gem'?"),
    ],
)
def test_impossible_architecture(changes, sentence):
    with pytest.raises(UserError) as error:
        EmbeddingModel(replace(RESNET, **changes))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "spec", [replace(RESNET, pooling="token"), replace(VIT, pooling="gem")], ids=["cnn", "vit"]
)
def test_pooling_that_does_not_fit(spec):
    with pytest.raises(
        UserError, match=f"pooling '{spec.pooling}' does not fit {spec.timm}, whose"
    ):
        EmbeddingModel(spec)(IMAGES)


def test_unusable_weights_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    model = EmbeddingModel(RESNET)
    with pytest.raises(UserError, match=f"^weights {path} do not exist; run the rule"):
        load_tensors(model, path)
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"^weights {path} do not fit or are damaged"):
        load_tensors(model, path)
    save_tensors(EmbeddingModel(VIT), path)
    with pytest.raises(UserError, match=f"^weights {path} do not fit or are damaged") as error:
        load_tensors(model, path)
    # Not the names of all tensors that are missing.
    assert len(str(error.value)) < 300 + len(str(path))
    save_tensors(model, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=f"^weights {path} do not fit or are damaged"):
        load_tensors(model, path)
