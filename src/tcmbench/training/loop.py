"""One training from settings to `model.safetensors` and `run.json`."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import MultiStepLR

from tcmbench.errors import UserError
from tcmbench.files import write_json
from tcmbench.images import Draw, TrainingView, load_batches
from tcmbench.manifests import read_manifest
from tcmbench.models import EmbeddingModel, load_tensors, save_tensors
from tcmbench.sampling import Indices, epoch_batches
from tcmbench.training import checkpoint
from tcmbench.training.objective import Objective
from tcmbench.training.record import describe
from tcmbench.training.settings import Optimization, Settings
from tcmbench.training.step import backward


def train(settings: Settings, folder: Path, device: torch.device, resume: bool = False) -> None:
    """Train one model and write `model.safetensors` and `run.json` into `folder`.

    The weights are those after the last epoch; test images are never looked at.

    Args:
        settings: the run.
        folder: where the results go; `last.ckpt` lives there while the training runs.
        device: where the network runs.
        resume: continue from `last.ckpt` where it belongs to the same settings and inputs.

    Raises:
        UserError: settings or inputs that cannot be trained on, or a loss that is not finite.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(settings, device)
    stamp = checkpoint.fingerprint(settings)
    done, curve = checkpoint.restore(folder, stamp, training.parts) if resume else (0, [])
    seconds_before = sum(entry["seconds"] for entry in curve)
    for epoch in range(done, settings.optimization.epochs):
        curve.append(training.run_epoch(epoch))
        _report(curve, settings.optimization.epochs)
        checkpoint.save(folder, stamp, epoch + 1, training.parts, curve)
    weights = folder / "model.safetensors"
    save_tensors(training.model, weights)
    seconds = seconds_before + time.monotonic() - started
    record = describe(settings, training.model, weights, device, curve, seconds)
    write_json(folder / "run.json", record)
    checkpoint.remove(folder)


class Training:
    """Everything that changes while a model is trained, and the data it is trained on."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        items = read_manifest(settings.manifest)
        self.labels: Indices = np.array([item.label for item in items], dtype=np.int64)
        self.view = TrainingView(
            [Path(settings.images) / item.path for item in items], settings.view
        )
        # The seed alone decides the initial head: base and tcm start from the same weights.
        torch.manual_seed(settings.seed)
        self.model = EmbeddingModel(settings.model)
        if settings.weights is not None:
            load_tensors(self.model.backbone, Path(settings.weights))
        self.model.to(self.device)
        self.objective = Objective(settings.loss, settings.regularizer).to(self.device)
        self.optimizer = _optimizer(self, settings.optimization)
        self.scheduler = MultiStepLR(
            self.optimizer, settings.optimization.milestones, settings.optimization.gamma
        )
        self.parts = {
            "model": self.model,
            "objective": self.objective,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
        }

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; return the mean of each loss term, the images seen and the seconds."""
        started = time.monotonic()
        # A seed for each epoch: a resumed training draws what an uninterrupted one would.
        torch.manual_seed(_epoch_seed(self.settings.seed, epoch))
        self.model.train()
        sums: dict[str, Tensor] = {}
        images_seen = steps = 0
        for images, labels in self._batches(epoch):
            self.optimizer.zero_grad(set_to_none=True)
            terms = backward(
                self.model, self.objective, images, labels, self.settings.optimization.chunk_size
            )
            self.optimizer.step()
            images_seen += len(images)
            steps += 1
            for name, term in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(term)) + term
        self.scheduler.step()
        means = {name: float(total) / steps for name, total in sums.items()}
        if not math.isfinite(means["total"]):
            raise UserError(
                f"the loss became {means['total']} in epoch {epoch + 1}; lower the learning rate "
                f"of {self.settings.loss.name} with {self.settings.backbone} in config.yaml"
            )
        return {**means, "images": images_seen, "seconds": time.monotonic() - started}

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        plan = self.settings.optimization
        rows = epoch_batches(
            self.labels, plan.batch_size, plan.samples_per_class, self.settings.seed, epoch
        )
        draws = [_draws(batch, self.settings.seed, epoch, step) for step, batch in enumerate(rows)]
        loaded = load_batches(self.view, draws, pinned=self.device.type == "cuda")
        for batch, images in zip(rows, loaded, strict=True):
            labels = torch.from_numpy(self.labels[batch])
            yield images.to(self.device, non_blocking=True), labels.to(self.device)


def _draws(batch: Indices, seed: int, epoch: int, step: int) -> list[Draw]:
    seeds = np.random.default_rng([seed, epoch, step + 1]).integers(2**62, size=len(batch))
    return [Draw(int(index), int(number)) for index, number in zip(batch, seeds, strict=True)]


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _optimizer(training: Training, plan: Optimization) -> Optimizer:
    kinds: dict[str, type[Adam] | type[AdamW]] = {"adam": Adam, "adamw": AdamW}
    if plan.optimizer not in kinds:
        raise UserError(f"optimizer '{plan.optimizer}' is unknown; use one of {', '.join(kinds)}")
    # Losses such as ArcFace have parameters of their own.
    parameters = [*training.model.parameters(), *training.objective.parameters()]
    return kinds[plan.optimizer](parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _report(curve: list[dict[str, float]], epochs: int) -> None:
    last = curve[-1]
    seconds = sum(entry["seconds"] for entry in curve) / len(curve) * (epochs - len(curve))
    terms = ", ".join(f"{key} {last[key]:.4f}" for key in ("total", "base", "tcm") if key in last)
    rate = last["images"] / last["seconds"]
    print(
        f"epoch {len(curve)} of {epochs}: {terms}, {rate:.0f} images/s, {seconds:.0f} s left",
        file=sys.stderr,
        flush=True,
    )
