"""Class-balanced batches: P classes of K images each.

The official Recall@k batch builder (RS datasets.py L313-334), as a function of seed and epoch:
images are shuffled within each class and classes among each other; each batch takes K images of
the first P classes that have as many left; what cannot fill a batch is dropped; the order of the
batches is shuffled. Classes with fewer than K images are never used.
"""

import numpy as np
from numpy.typing import NDArray

from tcmbench.common.errors import UserError

Indices = NDArray[np.int64]


def epoch_batches(
    labels: Indices,
    batch_size: int,
    samples_per_class: int,
    seed: int,
    epoch: int,
    rank: int = 0,
    world: int = 1,
) -> list[Indices]:
    """Draw the batches of one epoch, or the part of them that one of several processes embeds.

    Args:
        labels: class of each training image, [N].
        batch_size: images a batch, P x K, over all processes.
        samples_per_class: K.
        seed: seed of the run; `base` and `tcm` share it and so see the same batches.
        epoch: number of the epoch, from 0.
        rank: number of this process, from 0.
        world: number of processes; each gets P / world whole classes of every batch, so that the
            parts of all ranks, one after the other, are the batch of a single process.

    Returns:
        Row numbers into `labels`, [batch_size / world] each, class by class.

    Raises:
        UserError: the classes are too few or too small to fill one batch, or cannot be shared out.
    """
    per_batch = classes_per_batch(batch_size, samples_per_class, world)
    generator = np.random.default_rng([seed, epoch])
    rows, left = _shuffled_classes(labels, generator)
    ends = left.cumsum()
    part = slice(rank * per_batch // world, (rank + 1) * per_batch // world)
    places = np.arange(-samples_per_class, 0)
    batches = []
    while len(chosen := np.flatnonzero(left >= samples_per_class)[:per_batch]) == per_batch:
        mine = chosen[part]
        batches.append(rows[(ends[mine, None] + places).ravel()])
        ends[chosen] -= samples_per_class
        left[chosen] -= samples_per_class
    if not batches:
        raise UserError(
            f"a batch of {batch_size} needs {per_batch} classes of {samples_per_class} images, but "
            f"the training split has {len(chosen)} such classes; lower batch_size or "
            "samples_per_class"
        )
    return [batches[i] for i in generator.permutation(len(batches))]


def unused(labels: Indices, samples_per_class: int) -> dict[str, int]:
    """Count the classes that are too small to be trained on, and their images.

    Args:
        labels: class of each training image, [N].
        samples_per_class: K; a class with fewer images is never drawn.
    """
    _, sizes = np.unique(labels, return_counts=True)
    small = sizes[sizes < samples_per_class]
    return {"classes": len(small), "images": int(small.sum())}


def classes_per_batch(batch_size: int, samples_per_class: int, world: int = 1) -> int:
    """Return P, the classes of a batch of P x K images that `world` processes share out.

    Raises:
        UserError: the batch, or its classes, cannot be shared out evenly.
    """
    if batch_size % samples_per_class:
        raise UserError(
            f"batch_size {batch_size} is not a multiple of samples_per_class {samples_per_class}; "
            "change one of them in the recipe"
        )
    classes = batch_size // samples_per_class
    if classes % world:
        raise UserError(
            f"the {classes} classes of a batch cannot be shared out evenly among {world} "
            "processes; change batch_size or the number of GPUs"
        )
    return classes


def _shuffled_classes(labels: Indices, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Return all rows, class by class, and the sizes of the classes; both in shuffled order."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    groups = [generator.permutation(group) for group in np.split(order, starts[1:])]
    shuffled = [groups[i] for i in generator.permutation(len(groups))]
    return np.concatenate(shuffled), np.array([len(group) for group in shuffled])
