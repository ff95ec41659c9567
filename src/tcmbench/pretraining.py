"""Start weights of the quick suite: a tiny backbone learns to name single handwritten digits.

The paper's networks start from large-scale classification; these do so in kind. Only scans of the
training split are used, so no test image's handwriting is seen.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tcmbench.images import normalize
from tcmbench.miniatures.render import Style, digit_image
from tcmbench.miniatures.scans import scans
from tcmbench.models import create_backbone, save_tensors

IMAGES = 8000
SIZE = 32
EPOCHS = 12
BATCH = 64
LEARNING_RATE = 2e-3
SEED = 0

# Colours of no miniature in particular: the backbone learns shapes.
STYLE = Style(
    height=SIZE,
    width=SIZE,
    papers=((245, 245, 240), (20, 22, 30), (60, 110, 60), (150, 60, 50), (70, 90, 160)),
    inks=((10, 10, 10), (250, 250, 250), (250, 220, 80), (30, 30, 110), (255, 180, 180)),
    shade=12.0,
    noise=8.0,
    clutter=3,
)


def pretrain(timm_name: str, model_args: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train a backbone to classify digits and save its weights without the classifier.

    Args:
        timm_name: timm model name.
        model_args: further arguments of `timm.create_model`.
        out: safetensors file to write.

    Returns:
        What was done, for the record: images, epochs, accuracy on the training digits.
    """
    torch.manual_seed(SEED)
    images, digits = training_digits()
    backbone = create_backbone(timm_name, model_args)
    classifier = nn.Linear(backbone.num_features, 10)
    accuracy = _fit(backbone, classifier, images, digits)
    save_tensors(backbone, out)
    return {
        "task": "single handwritten digits, training scans",
        "images": IMAGES,
        "epochs": EPOCHS,
        "training_accuracy": accuracy,
        "seed": SEED,
    }


def training_digits() -> tuple[Tensor, Tensor]:
    """Render single digits from training scans: uint8 [N, 3, 32, 32] and classes [N]."""
    rng = np.random.default_rng(SEED)
    drawings, digits = scans("train")
    chosen = rng.integers(len(digits), size=IMAGES)
    rendered = [np.asarray(digit_image(drawings[i], STYLE, rng).convert("RGB")) for i in chosen]
    images = torch.from_numpy(np.stack(rendered)).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(digits[chosen])


def _fit(backbone: nn.Module, classifier: nn.Module, images: Tensor, digits: Tensor) -> float:
    """Train both in place; return the accuracy over the last epoch, 0 to 1."""
    parameters = [*backbone.parameters(), *classifier.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, epochs=EPOCHS, steps_per_epoch=steps, pct_start=0.1
    )
    accuracy = 0.0
    for epoch in range(EPOCHS):
        correct = 0
        for batch in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            scores = classifier(backbone(normalize(images[batch])))
            loss = F.cross_entropy(scores, digits[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += int((scores.argmax(dim=1) == digits[batch]).sum())
        accuracy = correct / (steps * BATCH)
        print(
            f"epoch {epoch + 1} of {EPOCHS}: accuracy {accuracy:.3f}", file=sys.stderr, flush=True
        )
    return accuracy
