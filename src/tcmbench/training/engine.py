"""Network, objective and optimiser on one device: everything that an optimiser step changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import MultiStepLR

from tcmbench.models.network import EmbeddingModel, freeze_idle, load_tensors
from tcmbench.training.chunk import Chunk, chosen
from tcmbench.training.crew import ALONE, Crew
from tcmbench.training.objective import Objective
from tcmbench.training.precision import chosen_precision
from tcmbench.training.rng import seed_all
from tcmbench.training.scaling import Scaling
from tcmbench.training.settings import Settings
from tcmbench.training.step import Passes, backward


class Engine:
    """Steps of one training.

    Args:
        settings: the run.
        num_classes: of the training split, for losses with parameters of each class.
        device: where all of it lives.
        crew: the processes that share each step.
        chunk: images embedded at once; None for what the settings say.

    Attributes:
        share: images of each batch that this process embeds.
    """

    def __init__(
        self,
        settings: Settings,
        num_classes: int,
        device: torch.device,
        crew: Crew = ALONE,
        chunk: Chunk | None = None,
    ) -> None:
        self.settings = settings
        self.crew = crew
        self.device = device
        # The seed alone decides the initial head: base and tcm start from the same weights.
        torch.manual_seed(settings.seed)
        self.model = EmbeddingModel(settings.model)
        if settings.weights is not None:
            load_tensors(self.model.backbone, Path(settings.weights))
        self.model.to(device).train()
        if device.type == "cuda":
            self.model.to(memory_format=torch.channels_last)
        sizes = {"num_classes": num_classes, "embedding_size": settings.model.embedding_size}
        self.objective = Objective(settings.loss, settings.regularizer, sizes).to(device)
        self.optimizer = _optimizer(self)
        plan = settings.optimization
        self.scheduler = MultiStepLR(self.optimizer, plan.milestones, plan.gamma)
        self.precision = chosen_precision(settings.compute.precision, device)
        self.scaling = Scaling(self.precision, device)
        self.share = plan.batch_size // crew.size
        self.passes = Passes(self.share, plan.kept_chunks, self.precision)
        self.chunk = chunk or chosen(self)
        self.passes = replace(self.passes, chunk_size=self.chunk.size)
        self.embed = compiled(self.model) if settings.compute.compile else self.model
        if crew.size > 1:
            freeze_idle(self.model, settings.view.crop)
            self.embed = DistributedDataParallel(
                self.embed,
                device_ids=[device] if device.type == "cuda" else None,
                # Written between the two passes, running statistics could not be derived through;
                # those of the first process are kept.
                broadcast_buffers=False,
            )

    def begin_epoch(self, epoch: int) -> None:
        """Seed the epoch's random numbers, apart from what was drawn before.

        The first process draws what a single one would; the others draw their own.
        """
        rank = [self.crew.rank] if self.crew.rank else []
        sequence = np.random.SeedSequence([self.settings.seed, epoch, *rank])
        seed_all(int(sequence.generate_state(1)[0]))

    def step(self, images: Tensor, labels: Tensor, watched: bool) -> dict[str, Tensor]:
        """Take one optimiser step; return the loss terms, still on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        terms = backward(
            self.embed, self.objective, images, labels, self.passes, watched, self.scaling.scale
        )
        self.scaling.step(self.optimizer)
        return terms

    def is_finite(self) -> bool:
        """Say whether every trained number is finite; waits for the device."""
        parameters = [*self.model.parameters(), *self.objective.parameters()]
        return bool(torch.stack([torch.isfinite(value).all() for value in parameters]).all())

    def state(self) -> dict[str, Any]:
        """Return the state of all parts by name."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "objective": self.objective,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaling": self.scaling,
        }


def compiled(model: nn.Module) -> Any:
    """Return the network compiled, on first use; it shares the parameters of `model`."""
    import torch._inductor.config

    # Random numbers as without compiling, so that both passes over a chunk draw the same ones.
    torch._inductor.config.fallback_random = True
    # The last chunk of a batch may be smaller: two exact graphs are faster than one general.
    return torch.compile(model, dynamic=False)


def _optimizer(engine: Engine) -> Optimizer:
    kinds: dict[str, type[Adam] | type[AdamW]] = {"adam": Adam, "adamw": AdamW}
    plan = engine.settings.optimization
    # Losses such as ArcFace have parameters of their own.
    parameters = [*engine.model.parameters(), *engine.objective.parameters()]
    return kinds[plan.optimizer](
        parameters,
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=True if engine.device.type == "cuda" else None,
    )
