"""A recipe fitted to images of one's own: batches that their classes fill, and steps enough."""

import math
from collections import deque
from collections.abc import Sequence

from tcmbench.config.schema import Config

# Of an epoch, at least: those of classes with 40 images, four of which are in every batch. The
# classes of CUB-200-2011, whose recipe this is, have a few more.
STEPS = 10


def fitted(recipe: Config, sizes: Sequence[int]) -> Config:
    """Return the settings of a recipe that the sizes of the training classes change.

    - `samples_per_class` is lowered until half of the classes have so many images, to two at least.
    - `batch_size` is lowered to the classes there are, and further where a few small ones would
      end an epoch before half of the images were seen.
    - `epochs` and `milestones` are stretched until the training has ten steps for each epoch of the
      recipe. They are never shortened.

    Args:
        recipe: with all its settings.
        sizes: images of each training class.
    """
    samples = recipe["samples_per_class"]
    enough = max(2, math.ceil(len(sizes) / 2))
    while samples > 2 and sum(size >= samples for size in sizes) < enough:
        samples -= 1
    rounds = [size // samples for size in sizes if size >= samples]
    classes = classes_at_once(rounds, recipe["batch_size"] // samples)
    stretch = max(1.0, STEPS / max(1, batches(rounds, classes)))
    return {
        "samples_per_class": samples,
        "batch_size": samples * classes,
        "epochs": math.ceil(recipe["epochs"] * stretch),
        "milestones": [round(milestone * stretch) for milestone in recipe["milestones"]],
    }


def classes_at_once(rounds: Sequence[int], most: int) -> int:
    """Return the most classes a batch whose epoch sees half of the images or more; two at least.

    Args:
        rounds: how many batches each class can be part of in an epoch.
        most: classes a batch of the recipe.
    """
    for classes in range(min(most, len(rounds)), 2, -1):
        if 2 * classes * batches(rounds, classes) >= sum(rounds):
            return classes
    return 2


def batches(rounds: Sequence[int], classes: int) -> int:
    """Return the batches of an epoch if the sampler meets the classes in this order."""
    waiting, open_classes, count = deque(rounds), list[int](), 0
    while True:
        while waiting and len(open_classes) < classes:
            open_classes.append(waiting.popleft())
        if len(open_classes) < classes:
            return count
        least = min(open_classes)
        count += least
        open_classes = [left - least for left in open_classes if left > least]
