"""Class-balanced batches: P classes of K images each.

The official Recall@k batch builder (RS datasets.py L313-334), as a function of seed and epoch:
images are shuffled within each class and classes among each other; each batch takes K images of
the first P classes that have as many left; what cannot fill a batch is dropped; the order of the
batches is shuffled. Classes with fewer than K images are never used.
"""

import numpy as np
from numpy.typing import NDArray

from tcmbench.errors import UserError

Indices = NDArray[np.int64]


def epoch_batches(
    labels: Indices, batch_size: int, samples_per_class: int, seed: int, epoch: int
) -> list[Indices]:
    """Draw the batches of one epoch.

    Args:
        labels: class of each training image, [N].
        batch_size: images a batch, P x K.
        samples_per_class: K.
        seed: seed of the run; `base` and `tcm` share it and so see the same batches.
        epoch: number of the epoch, from 0.

    Returns:
        Row numbers into `labels`, [batch_size] each, class by class.

    Raises:
        UserError: the classes are too few or too small to fill one batch.
    """
    per_batch = _classes_per_batch(batch_size, samples_per_class)
    generator = np.random.default_rng([seed, epoch])
    queues = _shuffled_classes(labels, generator)
    batches = []
    while True:
        full = [queue for queue in queues if len(queue) >= samples_per_class][:per_batch]
        if len(full) < per_batch:
            break
        batches.append(np.concatenate([_take(queue, samples_per_class) for queue in full]))
    if not batches:
        usable = sum(len(queue) >= samples_per_class for queue in queues)
        raise UserError(
            f"a batch of {batch_size} needs {per_batch} classes of {samples_per_class} images, but "
            f"the training split has {usable} such classes; lower batch_size or samples_per_class"
        )
    return [batches[i] for i in generator.permutation(len(batches))]


def _classes_per_batch(batch_size: int, samples_per_class: int) -> int:
    if batch_size % samples_per_class:
        raise UserError(
            f"batch_size {batch_size} is not a multiple of samples_per_class {samples_per_class}; "
            "change one of them in the recipe"
        )
    return batch_size // samples_per_class


def _shuffled_classes(labels: Indices, generator: np.random.Generator) -> list[list[int]]:
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    groups = [generator.permutation(group) for group in np.split(order, starts[1:])]
    return [groups[i].tolist() for i in generator.permutation(len(groups))]


def _take(queue: list[int], count: int) -> Indices:
    taken = queue[-count:]
    del queue[-count:]
    return np.array(taken, dtype=np.int64)
