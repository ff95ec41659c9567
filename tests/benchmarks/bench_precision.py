"""What each precision does to similarities and to gradients.

    snakemake --cores all --config suite=quick     # the trained tiny networks and their data
    python tests/benchmarks/bench_precision.py [--device cuda]

Products are compared with float64. The processor computes them as a GPU's tensor cores do
(tensor_cores.py). The
tiny networks are those of the quick suite, trained; ResNet-50 and ViT-B/16 begin with random
weights and train for a few steps on a miniature enlarged to 64 pixels. Similarities: of all pairs
of test images. Gradients: of one batch in two passes, of all parameters, whose loss sees the same
precision.
"""

import argparse
import copy
import csv
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import numpy as np
import torch
from precision_report import write_report
from precision_ways import WAYS, as_on_a_gpu, on_the_gpu, precision_of
from reference_file import reference_file
from torch import Tensor, nn

from tcmbench.common.precision import float32_products
from tcmbench.images.loading import Draw, EvaluationView, TrainingView, ViewSpec, normalize
from tcmbench.images.manifests import read_manifest
from tcmbench.models.network import EmbeddingModel, ModelSpec, load_tensors
from tcmbench.preflight.rows import device_name
from tcmbench.training.objective import Objective
from tcmbench.training.sampling import epoch_batches
from tcmbench.training.settings import LossSpec, Settings
from tcmbench.training.step import Passes, backward, embedded

CHUNK = 64
LARGE = {
    "resnet50": ModelSpec("resnet50", "gem", True, 512, freeze_batch_norm=False),
    "vit_b16": ModelSpec(
        "vit_base_patch16_224", "token", True, 512, False, model_args={"img_size": 64}
    ),
}
LARGE_VIEW = ViewSpec(resize=72, crop=64, crop_scale=(0.7, 1.0), flip=0.0)
LARGE_BATCH, LARGE_RATE = 16, 2e-4
NAMES = ("network", "dataset", "loss", "variant", "steps")


@dataclass(frozen=True)
class Row:
    """Errors of one way against float64; those of gradients are relative, of all parameters."""

    network: str
    dataset: str
    loss: str
    variant: str
    steps: int
    way: str
    images: int
    similarity_max: float
    similarity_rms: float
    gradient_error: float
    gradient_cosine: float


@dataclass(frozen=True)
class Case:
    """A trained network with test images, and a training batch with its objective."""

    network: str
    dataset: str
    loss: str
    variant: str
    steps: int
    model: EmbeddingModel
    objective: Objective
    images: Tensor
    batch: Tensor
    labels: Tensor

    def on(self, device: str) -> "Case":
        """Return it with all but the labels on a device."""
        names = ("model", "objective", "images", "batch")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


class Double(nn.Module):
    """A network in float64 behind float32 images."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).double()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.double())


def tiny_cases(folder: Path, images: int) -> Iterator[Case]:
    """The trained networks of the quick suite."""
    for record in sorted(folder.glob("runs/*/test_*/*/*/seed0/run.json")):
        values = json.loads(record.read_text())
        settings = Settings.from_json(values)
        model = EmbeddingModel(settings.model)
        load_tensors(model, record.with_name("model.safetensors"))
        data = folder / "data/miniature" / settings.dataset
        view, loss = settings.view, settings.loss.name
        yield Case(
            *(settings.backbone, settings.dataset, loss, settings.variant, values["steps"]),
            model.eval(),
            Objective(settings.loss, settings.regularizer),
            test_images(data, view, images),
            *next(training_batches(data, view, settings.optimization.batch_size)),
        )


def large_cases(folder: Path, networks: Sequence[str], steps: int, images: int) -> Iterator[Case]:
    """The paper's networks, from random weights and after a few steps."""
    data = folder / "data/miniature/cub"
    for name in networks:
        torch.manual_seed(0)
        model = EmbeddingModel(LARGE[name])
        objective = Objective(LossSpec("smooth_ap", {}), None)
        optimizer = torch.optim.AdamW(model.train().parameters(), LARGE_RATE)
        batches = training_batches(data, LARGE_VIEW, LARGE_BATCH)
        for step in range(steps):
            optimizer.zero_grad()
            terms = backward(model, objective, *next(batches), Passes(LARGE_BATCH))
            optimizer.step()
            print(f"{name}, step {step + 1}: loss {float(terms['total']):.4f}", flush=True)
        views = test_images(data, LARGE_VIEW, images)
        batch = next(batches)
        yield Case(name, "cub", "smooth_ap", "base", steps, model.eval(), objective, views, *batch)


def training_batches(data: Path, view: ViewSpec, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of 4 images a class, epoch after epoch."""
    items = read_manifest(data / "train.csv")
    found = TrainingView([data / item.path for item in items], view)
    _, labels = np.unique([item.label for item in items], return_inverse=True)
    for epoch in range(1_000_000):
        for rows in epoch_batches(labels.astype(np.int64), size, 4, seed=0, epoch=epoch):
            images = [found[Draw(int(row), 1000 * epoch + int(row))] for row in rows]
            yield torch.stack(images), torch.from_numpy(labels[rows])


def test_images(data: Path, view: ViewSpec, count: int) -> Tensor:
    items = read_manifest(data / "test.csv")[:count]
    found = EvaluationView([data / item.path for item in items], view)
    return torch.stack([found[index] for index in range(len(items))])


def measured(case: Case, ways: Sequence[str]) -> Iterator[Row]:
    """One row a way, float64 behind all of them."""
    exact = Double(case.model)
    with torch.no_grad():
        rows = torch.cat([exact(normalize(part)) for part in case.images.split(CHUNK)])
    similarity, gradient = rows @ rows.T, gradients(case, exact, "float32")
    names = {name: getattr(case, name) for name in NAMES}
    for way in ways:
        with (on_the_gpu if case.batch.is_cuda else as_on_a_gpu)(way, case.model):
            error = similarities(case, precision_of(way)) - similarity
            found = gradients(case, case.model, precision_of(way))
        yield Row(
            **names,
            way=way,
            images=len(rows),
            similarity_max=error.abs().max().item(),
            similarity_rms=error.square().mean().sqrt().item(),
            gradient_error=((found - gradient).norm() / gradient.norm()).item(),
            gradient_cosine=nn.functional.cosine_similarity(found, gradient, dim=0).item(),
        )


def similarities(case: Case, precision: str) -> Tensor:
    """Cosines of all pairs in float64, of embeddings in a precision."""
    with torch.no_grad(), float32_products():
        parts = [embedded(case.model, part, precision) for part in case.images.split(CHUNK)]
    rows = nn.functional.normalize(torch.cat(parts).double(), dim=1)
    return rows @ rows.T


def gradients(case: Case, model: nn.Module, precision: str) -> Tensor:
    """The gradient of all parameters, in float64; in float16 at the largest scale that holds."""
    scale = 2.0**16 if precision == "float16" else 1.0
    while True:
        model.zero_grad()
        passes = Passes(len(case.batch) // 2, 0, precision)
        scaled = lambda loss: loss * scale  # noqa: B023, E731
        backward(model, case.objective, case.batch, case.labels, passes, scale=scaled)
        parts = [value.grad for value in model.parameters() if value.grad is not None]
        flat = torch.cat([part.double().flatten() for part in parts]) / scale
        if flat.isfinite().all():
            return flat
        scale /= 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="of the quick suite")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--large", nargs="*", choices=LARGE, default=list(LARGE))
    parser.add_argument("--steps", type=int, default=12, help="of the large ones (default: 12)")
    parser.add_argument("--images", type=int, default=1000, help="at most, of a tiny network")
    parser.add_argument("--large-images", type=int, default=128, help="of a large one")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--out", type=Path, help="default: results/reference/precision-*.csv")
    options = parser.parse_args()
    out = options.out or reference_file("precision", options.device)
    rows: list[Row] = []
    tiny = tiny_cases(options.results, options.images)
    large = large_cases(options.results, options.large, options.steps, options.large_images)
    for case in itertools.chain(tiny, large):
        for row in measured(case.on(options.device), options.way):
            rows.append(row)
            print(asdict(row), flush=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    write_report(out.with_suffix(".md"), rows, device_name(torch.device(options.device)))


if __name__ == "__main__":
    main()
