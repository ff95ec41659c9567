"""The scale of a loss in float16, without which small gradients would vanish."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# The count's name in the log and in the record.
SKIPPED = "skipped_steps"


class Scaling:
    """Steps of an optimiser with gradients of a scaled loss; outside float16 plain steps.

    Torch's GradScaler: a step whose gradients overflow is left out and halves the scale, 2,000
    steps without one double it. Waits for no GPU, with a fused optimiser.

    Args:
        precision: of the network's products.
        device: of the network.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        self._one = torch.ones((), device=device)
        self._skipped = torch.zeros((), dtype=torch.int64, device=device)

    def scale(self, loss: Tensor) -> Tensor:
        """Return what the gradients are to be taken of."""
        scaled: Tensor = self.scaler.scale(loss)
        return scaled

    def step(self, optimizer: Optimizer) -> None:
        """Take an optimiser step, unless a gradient is not finite."""
        if not self.scaler.is_enabled():
            optimizer.step()
            return
        before = self.scale(self._one)
        self.scaler.step(optimizer)
        self.scaler.update()
        self._skipped += self.scale(self._one) < before

    def skipped(self) -> int | None:
        """Return how many steps were left out, None outside float16; waits for the device."""
        return int(self._skipped) if self.scaler.is_enabled() else None

    def counted(self) -> dict[str, float]:
        """Return the count under its name in the log, nothing outside float16."""
        return {SKIPPED: int(self._skipped)} if self.scaler.is_enabled() else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and the count."""
        return {"scaler": self.scaler.state_dict(), "skipped": self.skipped()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.scaler.load_state_dict(state["scaler"])
        self._skipped.fill_(state["skipped"] or 0)
