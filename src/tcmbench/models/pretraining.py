"""Start weights of the quick suite: a tiny backbone learns to name the digits of written numbers.

The paper's networks start from large-scale classification; these do so in kind. Only scans of the
training split are used, so no test image's handwriting is seen. Numbers are drawn freely, so those
that are test classes of a miniature occur too; the labels are single digits, never a number.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tcmbench.images.loading import normalize
from tcmbench.miniatures.render import Style, compose
from tcmbench.miniatures.scans import scans
from tcmbench.models.backbones import create_backbone
from tcmbench.models.network import save_tensors

IMAGES = 10_000
SIZE = 32
EPOCHS = 14
BATCH = 64
LEARNING_RATE = 2e-3
SEED = 0

# A digit is named by its place: left or right of two, left, middle or right of three.
PLACES = 5
NO_DIGIT = -100  # cross_entropy's own mark for what does not count

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
    """Train a backbone to name every digit of an image and save it without the classifier.

    Args:
        timm_name: timm model name.
        model_args: further arguments of `timm.create_model`.
        out: safetensors file to write.

    Returns:
        What was done, for the record: images, epochs, share of training digits named rightly.
    """
    torch.manual_seed(SEED)
    images, digits = training_numbers()
    backbone = create_backbone(timm_name, model_args)
    classifier = nn.Linear(backbone.num_features, PLACES * 10)
    accuracy = _fit(backbone, classifier, images, digits)
    save_tensors(backbone, out)
    return {
        "task": "single digits of handwritten numbers, training scans",
        "images": IMAGES,
        "epochs": EPOCHS,
        "training_accuracy": accuracy,
        "seed": SEED,
    }


def training_numbers() -> tuple[Tensor, Tensor]:
    """Render numbers of two or three digits from training scans.

    Returns:
        Images, uint8 [N, 3, 32, 32]; digits by place [N, 5], `NO_DIGIT` where there is none.
    """
    rng = np.random.default_rng(SEED)
    drawings, digits = scans("train")
    named = np.full((IMAGES, PLACES), NO_DIGIT)
    rendered = []
    for row in named:
        chosen = rng.integers(len(digits), size=rng.integers(2, 4))
        first = 0 if len(chosen) == 2 else 2
        row[first : first + len(chosen)] = digits[chosen]
        image = compose([drawings[index] for index in chosen], STYLE, rng)
        rendered.append(np.asarray(image.convert("RGB")))
    images = torch.from_numpy(np.stack(rendered)).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(named)


def _fit(backbone: nn.Module, classifier: nn.Module, images: Tensor, digits: Tensor) -> float:
    """Train both in place; return the share of digits named rightly in the last epoch, 0 to 1."""
    parameters = [*backbone.parameters(), *classifier.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, epochs=EPOCHS, steps_per_epoch=steps, pct_start=0.1
    )
    accuracy = 0.0
    for epoch in range(EPOCHS):
        right = named = 0
        for batch in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            scores = classifier(backbone(normalize(images[batch]))).view(-1, 10)
            wanted = digits[batch].view(-1)
            loss = F.cross_entropy(scores, wanted, ignore_index=NO_DIGIT)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += int((scores.argmax(dim=1) == wanted).sum())
            named += int((wanted != NO_DIGIT).sum())
        accuracy = right / named
        print(
            f"epoch {epoch + 1} of {EPOCHS}: accuracy {accuracy:.3f}", file=sys.stderr, flush=True
        )
    return accuracy
