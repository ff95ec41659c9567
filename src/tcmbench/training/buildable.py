"""Whether trainings can be built: their network, their loss and its parameters, without data."""

import json
from collections.abc import Iterable
from typing import Any

import torch

from tcmbench.common.errors import UserError
from tcmbench.models.network import EmbeddingModel, ModelSpec
from tcmbench.training.objective import Objective
from tcmbench.training.sampling import classes_per_batch
from tcmbench.training.settings import Settings

# How many there are is known when the data are; a loss's constructor takes any number.
CLASSES = 100


def require_buildable(configs: Iterable[Any]) -> None:
    """Build everything that trainings are made of, each thing once; nothing is kept.

    Args:
        configs: training configurations, as `Settings.from_json` takes them.

    Raises:
        UserError: one cannot be built; the sentence is that of its training.
    """
    networks, objectives = {}, {}
    for values in configs:
        settings = Settings.from_json(values)
        plan, parts = settings.optimization, settings.to_json()
        processes = settings.compute.processes or 1
        classes_per_batch(plan.batch_size, plan.samples_per_class, processes)
        networks[json.dumps(parts["model"])] = settings.model
        own = [parts["loss"], parts["regularizer"], settings.model.embedding_size]
        objectives[json.dumps(own)] = settings
    for settings in objectives.values():
        sizes = {"num_classes": CLASSES, "embedding_size": settings.model.embedding_size}
        Objective(settings.loss, settings.regularizer, sizes)
    for spec in networks.values():
        _build_network(spec)


def _build_network(spec: ModelSpec) -> None:
    """Build a network without its numbers; one that needs them to be built gets them."""
    try:
        with torch.device("meta"):
            EmbeddingModel(spec)
    except UserError:
        EmbeddingModel(spec)
