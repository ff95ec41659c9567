"""The embedding network: its head by formula, frozen batch norms, and its weight files."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tcmbench.common.errors import UserError
from tcmbench.models.backbones import create_backbone, first_tokens, last_norm
from tcmbench.models.network import (
    EmbeddingModel,
    GeM,
    ModelSpec,
    freeze_idle,
    load_tensors,
    save_tensors,
)

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
    ("timm", "pooling", "features"),
    [
        ("test_resnet", "token", "[4, 96, 1, 1] with 0"),
        ("test_mambaout", "token", "[4, 1, 1, 64] with 0"),
        ("test_vit", "gem", "[4, 17, 64] with 1"),
        ("test_vit_relpos", "token", "[4, 4, 96] with 0"),
        # Their first token is a register.
        ("test_vit2", "token", "[4, 17, 64] with 0"),
        ("test_vit3", "token", "[4, 17, 96] with 0"),
        # Features of the class token alone.
        ("pit_ti_224", "avg", "[4, 1, 256] with 1"),
    ],
)
def test_pooling_that_does_not_fit(timm, pooling, features):
    arguments = SMALL_TOKENS.get(timm, {})
    with pytest.raises(UserError) as error:
        EmbeddingModel(ModelSpec(timm, pooling, True, 16, True, arguments))(IMAGES)
    assert str(error.value) == (
        f"pooling '{pooling}' does not fit {timm}, whose features are {features} class tokens; "
        "choose another of gem, avg, token"
    )


def test_a_size_that_the_backbone_refuses():
    spec = ModelSpec("vit_tiny_patch16_224", "token", True, 16, True, {"depth": 1})
    with pytest.raises(UserError) as error:
        EmbeddingModel(spec)(IMAGES)
    assert str(error.value) == (
        "vit_tiny_patch16_224 cannot take images of [32, 32] pixels (Input height (32) doesn't "
        "match model (224).); set img_size in the backbone's model_args or crop in the recipe"
    )


SMALL_TOKENS = {
    "test_vit": {"img_size": 32, "patch_size": 8},
    "test_vit2": {"img_size": 32, "patch_size": 8},
    "test_vit3": {"img_size": 32, "patch_size": 8},
    "pit_ti_224": {"img_size": 32, "patch_size": 8, "stride": 4},
    "test_vit_relpos": {"img_size": 32, "patch_size": 16},
    "deit_tiny_distilled_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 1},
}
FAMILIES = [
    ("test_vit", "avg", SMALL_TOKENS["test_vit"] | {"global_pool": "avg"}),
    ("test_vit2", "avg", SMALL_TOKENS["test_vit2"]),
    ("test_convnext", "avg", {}),
    ("test_convnext", "gem", {}),
    ("test_efficientnet", "gem", {}),
    ("mobilenetv3_small_050", "avg", {}),
    ("deit_tiny_distilled_patch16_224", "token", SMALL_TOKENS["deit_tiny_distilled_patch16_224"]),
    ("deit_tiny_distilled_patch16_224", "avg", SMALL_TOKENS["deit_tiny_distilled_patch16_224"]),
    ("test_mambaout", "gem", {}),
    (
        "swin_tiny_patch4_window7_224",
        "gem",
        {
            "img_size": 32,
            "window_size": 4,
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 2],
        },
    ),
    ("test_vit_relpos", "avg", SMALL_TOKENS["test_vit_relpos"]),
    ("mixer_s32_224", "avg", {"img_size": 64}),
]


NORMED = [
    ("test_vit", SMALL_TOKENS["test_vit"] | {"global_pool": "avg"}, "fc_norm"),
    ("test_vit2", SMALL_TOKENS["test_vit2"], "fc_norm"),
    ("test_vit_relpos", SMALL_TOKENS["test_vit_relpos"], "fc_norm"),
    ("test_convnext", {}, "head.norm"),
    ("caformer_s18", {}, "head.norm"),
    ("test_resnet", {}, None),
    ("test_vit", SMALL_TOKENS["test_vit"], None),
]


@pytest.mark.parametrize(("timm", "arguments", "norm"), NORMED)
def test_the_norm_after_pooling_is_timms_own(timm, arguments, norm):
    """What pretraining feeds its classifier with is what the head goes on from."""
    model = EmbeddingModel(ModelSpec(timm, "avg", False, 8, True, arguments)).eval()
    assert model.last_norm == norm
    for name, value in model.backbone.named_parameters():
        if "norm" in name:
            nn.init.uniform_(value, 0.5, 1.5)
    seen = []
    model.norm.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        model(IMAGES)
        features = model.backbone.forward_features(IMAGES)
        if timm == "test_vit" and norm is None:  # built for its class token
            model.backbone.global_pool = "avg"
        expected = model.backbone.forward_head(features, pre_logits=True)
    torch.testing.assert_close(seen[0], expected.flatten(1))


def test_the_papers_networks_have_no_norm_after_pooling():
    for timm in ("resnet50.tv_in1k", "vit_base_patch16_224.augreg_in21k"):
        backbone = create_backbone(timm, {})
        assert last_norm(backbone, backbone.num_features) is None


def test_idle_parameters_are_frozen_and_nothing_else_changes():
    torch.manual_seed(0)
    model = EmbeddingModel(ModelSpec("mobilenetv3_small_050", "gem", True, 8, False)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    freeze_idle(model, 32)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert frozen == {"backbone.conv_head.weight", "backbone.conv_head.bias"}
    assert all(value.grad is None for value in model.parameters())
    whole = EmbeddingModel(RESNET)
    freeze_idle(whole, 32)
    assert all(value.requires_grad for value in whole.parameters())


@pytest.mark.parametrize(
    ("timm", "size", "arguments"),
    [
        ("levit_128s", 64, {}),
        ("efficientformer_l1", 64, {}),
        ("test_vit_relpos", 48, SMALL_TOKENS["test_vit_relpos"]),
        ("gmlp_ti16_224", 48, {}),
    ],
)
def test_a_size_that_is_refused_by_another_exception(timm, size, arguments):
    model = EmbeddingModel(ModelSpec(timm, "avg", True, 8, True, arguments)).eval()
    with pytest.raises(UserError) as error:
        model(torch.zeros(2, 3, size, size))
    assert re.match(
        rf"{timm} cannot take images of \[{size}, {size}\] pixels \(.*\); set img_size in the "
        "backbone's model_args or crop in the recipe$",
        str(error.value),
    )


@pytest.mark.parametrize(
    ("raised", "refused"),
    [
        (ValueError("odd"), True),
        (IndexError("index 9 is out of range"), True),
        (RuntimeError("The size of tensor a (4) must match the size of tensor b (196)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), False),
        (MemoryError(), False),
    ],
)
def test_what_is_a_refusal_and_what_is_not(raised, refused, monkeypatch):
    model = EmbeddingModel(RESNET)

    def fail(images):
        raise raised

    monkeypatch.setattr(model.backbone, "forward_features", fail)
    with pytest.raises(UserError if refused else type(raised)) as error:
        model(IMAGES)
    assert refused or error.value is raised


def test_lists_of_features_are_refused():
    arguments = {"features_only": True}
    with pytest.raises(UserError, match="is a FeatureListNet without one last layer of features"):
        EmbeddingModel(replace(RESNET, model_args=arguments))
    model = EmbeddingModel(ModelSpec("crossvit_tiny_240", "avg", True, 8, True)).eval()
    with pytest.raises(UserError, match="crossvit_tiny_240 gives its features as a list and not"):
        model(torch.zeros(1, 3, 240, 240))


def test_a_class_token_that_timm_does_not_count_is_no_place():
    backbone = create_backbone("volo_d1_224", {"img_size": 64})
    assert first_tokens(backbone) == (True, 1)


@pytest.mark.parametrize(("timm", "pooling", "arguments"), FAMILIES)
def test_another_backbone_is_one_entry(timm, pooling, arguments):
    """Any family: unit rows of the size asked for, and a gradient for every parameter."""
    torch.manual_seed(0)
    model = EmbeddingModel(ModelSpec(timm, pooling, True, 24, True, arguments)).train()
    images = torch.randn(4, 3, size := arguments.get("img_size", 32), size)
    found = model(images)
    assert found.shape == (4, 24)
    assert torch.allclose(found.norm(dim=1), torch.ones(4), atol=1e-6)
    found[:, 0].sum().backward()
    # The classifier is gone; a layer of another width that feeds only it may stay.
    idle = {name for name, value in model.named_parameters() if value.grad is None}
    assert all(name.startswith(("backbone.head.pre_logits", "backbone.conv_head")) for name in idle)
    changed = [value.grad.abs().max() > 0 for value in model.parameters() if value.grad is not None]
    assert sum(changed) > 0.8 * len(changed)


@pytest.mark.parametrize("timm", ["test_mambaout", "test_resnet"])
def test_pooling_runs_over_places_and_never_over_channels(timm):
    model = EmbeddingModel(ModelSpec(timm, "avg", False, 8, True)).eval()
    with torch.no_grad():
        features = model.backbone.forward_features(torch.randn(2, 3, 160, 160)).numpy()
        pooled = model._pooled(torch.from_numpy(features)).numpy()
    places = (1, 2) if timm == "test_mambaout" else (2, 3)
    assert np.allclose(pooled, features.mean(axis=places), atol=1e-6)


@pytest.mark.parametrize(
    "spec", [RESNET, replace(RESNET, pooling="gem"), replace(VIT, pooling="token")]
)
def test_head_is_float32_inside_autocast(spec):
    model = built(spec)
    seen = {}
    for name in ("norm", "project"):
        getattr(model, name).register_forward_hook(
            lambda module, given, out, name=name: seen.update({name: (given[0].dtype, out.dtype)})
        )
    features = []
    wrapped = model.backbone.forward_features
    model.backbone.forward_features = lambda images: features.append(wrapped(images)) or features[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = model(IMAGES)
    # The backbone itself does use half precision; autocast ends a ViT with a float32 LayerNorm.
    assert features[0].dtype == (torch.float32 if spec.timm == "test_vit" else torch.bfloat16)
    assert found.dtype == torch.float32
    assert set(seen.values()) == {(torch.float32, torch.float32)}
    # Half precision would miss the unit by up to 4e-3.
    assert torch.allclose(found.norm(dim=1), torch.ones(4), atol=1e-6)
    # The rest of the head, from these very features, to float32's own precision.
    model.backbone.forward_features = lambda images: features[0].float()
    assert np.allclose(found.detach().numpy(), by_hand(model, spec), atol=1e-5)


def test_float64_stays_float64():
    model = built(replace(RESNET, pooling="gem")).double()
    assert model(IMAGES.double()).dtype == torch.float64


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
