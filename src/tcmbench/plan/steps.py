"""How many steps an epoch takes, by the sampler that draws its batches."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.config import folds
from tcmbench.images.manifests import read_manifest
from tcmbench.training.sampling import Indices, epoch_batches
from tcmbench.training.settings import Settings


class Steps(NamedTuple):
    """Steps of an epoch and of the training, and whether the true class sizes gave them."""

    epoch: int
    total: int
    exact: bool
    classes: int


def steps_of(settings: Settings, folder: Path) -> Steps:
    """Count the steps of a run.

    Without the prepared manifest the sampler draws from classes of equal size, whose numbers are
    published; unequal ones leave more images over.

    Args:
        settings: the run.
        folder: working directory, below which a prepared manifest lies.

    Raises:
        UserError: a miniature that is not made yet, or a batch that cannot be filled.
    """
    plan, manifest = settings.optimization, folder / settings.manifest
    exact = manifest.exists()
    labels = _of_manifest(manifest) if exact else _of_equal_classes(settings)
    sizes = plan.batch_size, plan.samples_per_class
    # Another epoch draws as many, but for one or two.
    steps = len(epoch_batches(labels, *sizes, seed=settings.seed, epoch=0))
    return Steps(steps, steps * plan.epochs, exact, len(np.unique(labels)))


def _of_manifest(manifest: Path) -> Indices:
    return np.array([item.label for item in read_manifest(manifest)], dtype=np.int64)


def _of_equal_classes(settings: Settings) -> Indices:
    if settings.scale != "full":
        raise UserError(
            f"{settings.manifest} is not there, and nothing else says how many images each class "
            "has; make it with `snakemake data`"
        )
    name, fold = folds.parsed(settings.dataset)
    counts = datasets.load(name).counts
    images, classes = counts.train_images, counts.train_classes
    if fold:
        images, classes = images - images // fold.of, classes - classes // fold.of
    return np.arange(images) % classes
