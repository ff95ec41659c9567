"""Operations and bytes by hand, against real steps, and the memory formula against a real peak."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from tcmbench.plan import network, objective
from tcmbench.plan.memory import memory_of
from tcmbench.training.engine import Engine
from tcmbench.training.settings import Settings
from tests.training.tiny_data import config, margins


def small() -> nn.Module:
    """Images [B, 3, 4, 4] to 5 numbers."""
    with torch.device("meta"):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)
        )


def test_operations_by_hand() -> None:
    work = network.measured(small(), 4, "float32")
    # 16 places x 8 channels x 27 products, and 128 x 5, each with its addition.
    convolution, linear = 2 * 16 * 8 * 27, 2 * 128 * 5
    assert work.forward == convolution + linear
    # Images need no gradient, so that the convolution has one product backward, the linear two.
    assert work.backward == convolution + 2 * linear
    assert (work.parameters, work.weights) == (216 + 645, 4 * (216 + 645))


def test_bytes_by_hand() -> None:
    exact = network.measured(small(), 4, "float32")
    # Kept: the image for the convolution, 3 x 16 numbers, and ReLU's result, 8 x 16.
    assert (exact.activations, exact.casts) == (4 * (48 + 128), 0)
    mixed = network.measured(small(), 4, "bfloat16")
    # The same in two bytes, and the weights of both products once.
    assert (mixed.activations, mixed.casts) == (2 * (48 + 128), 2 * (216 + 640))
    assert mixed.forward == exact.forward


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings.from_json(config(folder, **changes))


def test_paper_networks() -> None:
    """ResNet-50 is published with 4.09 GMAC and ViT-B/16 with 17.58 at 224 pixels."""
    spec: dict[str, Any] = {"layer_norm": True, "embedding_size": 512, "freeze_batch_norm": True}
    resnet = network.ModelSpec(timm="resnet50.tv_in1k", pooling="gem", **spec)
    vit = network.ModelSpec(timm="vit_base_patch16_224.augreg_in21k", pooling="token", **spec)
    for model, published in ((resnet, 4.09e9), (vit, 17.58e9)):
        work = network.work_of(model, 224, "bfloat16")
        assert work.forward == pytest.approx(2 * published, rel=0.005)
        assert work.backward == pytest.approx(2 * work.forward, rel=0.03)


@pytest.mark.parametrize(("chunk", "twice"), [(12, 0), (5, 12)])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_operations_of_a_real_step(tiny_set: Path, chunk: int, twice: int, backbone: str) -> None:
    """Counted while the training's own step computes numbers, in one pass and in two."""
    model = {"timm": backbone, **({"model_args": VIT} if backbone == "test_vit" else {})}
    model |= {"pooling": "avg", "layer_norm": True, "embedding_size": 16}
    run = settings(
        tiny_set, chunk_size=chunk, model=model | {"freeze_batch_norm": True}, **margins()
    )
    engine = Engine(run, 8, torch.device("cpu"))
    images = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        engine.step(images, torch.arange(12) // 3, False)
    work = network.work_of(run.model, 32, "float32")
    loss = objective.work_of(run, 8)
    # The one similarity matrix, forward and backward.
    assert loss.operations == 2 * 2 * 12 * 12 * 16
    predicted = 12 * (work.forward + work.backward) + twice * work.forward + loss.operations
    assert counter.get_total_flops() == predicted


VIT = {"img_size": 32, "patch_size": 8, "global_pool": "avg"}


def test_a_large_batch_follows_from_smaller_ones(
    tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = settings(tiny_set, batch_size=960, samples_per_class=4, **margins())
    found = objective.work_of(run, 300)
    assert found.operations == 2 * 2 * 960 * 960 * 16
    monkeypatch.setattr(objective, "LARGEST", 960)
    objective._measured.cache_clear()
    computed = objective.work_of(run, 300)
    assert computed.operations == found.operations
    assert found.memory == pytest.approx(computed.memory, rel=0.01)


class Live(TorchDispatchMode):
    """Adds up the bytes of all storages made inside that are alive, and keeps their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return out

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
@pytest.mark.parametrize(("chunk", "kept"), [(48, 0), (20, 0), (8, 1)])
def test_the_formula_against_a_real_peak(
    tiny_set: Path, backbone: str, chunk: int, kept: int
) -> None:
    """Within a tenth, in one pass, in two, and with a chunk that keeps its graph."""
    model = {"timm": backbone, "pooling": "avg", "layer_norm": True, "embedding_size": 16}
    model |= {"freeze_batch_norm": True, "model_args": VIT | {"img_size": 96}}
    if backbone == "test_resnet":
        model["model_args"] = {}
    view = {"resize": 96, "crop": 96, "crop_scale": [0.7, 1.0], "flip": 0.5}
    plan = {"batch_size": 48, "chunk_size": chunk, "kept_chunks": kept}
    run = settings(tiny_set, model=model, view=view, **plan)
    engine = Engine(run, 16, torch.device("cpu"))
    images = torch.randint(0, 256, (48, 3, 96, 96), dtype=torch.uint8)
    labels = torch.arange(48) // 3
    with Live() as live:
        engine.step(images, labels, False)  # makes the optimiser's state
        live.peak = live.now
        engine.step(images, labels, False)
    own = sum(tensor.nbytes for tensor in [*engine.model.parameters(), *engine.model.buffers()])
    real = live.peak + own + images.nbytes
    work = network.work_of(run.model, 96, "float32")
    formula = memory_of(run, work, objective.work_of(run, 16)).peak(chunk)
    assert 0.9 < formula / real < 1.1
