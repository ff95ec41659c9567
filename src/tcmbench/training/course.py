"""How far a training has come, and what was measured on the way."""

import re
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tcmbench.training.chunk import Chunk
from tcmbench.training.objective import ACTIVE

# Steps after each start that tell nothing of the speed: kernels are chosen, code is compiled.
WARM_UP = 5


class Course:
    """The place of a training and its sums so far; a part of the checkpoint.

    Loss terms are summed on the device, so that a step does not wait for them.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.epoch = self.step = self.steps = 0
        self.curve: list[dict[str, float]] = []
        self.chunks: list[dict[str, Any]] = []
        self.sums: dict[str, Tensor] = {}
        self.images = self.timed_images = 0
        self.seconds = self.timed_seconds = self.wall = self.peak_mb = 0.0
        self._fresh = 0
        # The first step of this process whose loss is not finite, if any, and that loss.
        self._failed = torch.full((), -1, device=device)
        self._loss = torch.zeros((), device=device)
        self._mark = time.monotonic()

    def pause(self) -> None:
        """Count the time since the last step, spent on setting up or saving, as wall time alone."""
        self.wall += self._passed()

    def note_chunk(self, chunk: Chunk) -> None:
        """Note from which step on how many images are embedded at once, where that is new."""
        if not self.chunks or self.chunks[-1]["size"] != chunk.size:
            self.chunks.append({"from_step": self.steps, **asdict(chunk)})

    def add(self, terms: dict[str, Tensor], images: int) -> None:
        """Count one step of `images` images."""
        fine = torch.isfinite(terms["total"]) | (self._failed >= 0)
        self._failed = torch.where(fine, self._failed, self.step)
        self._loss = torch.where(fine, self._loss, terms["total"])
        for name, term in terms.items():
            if name not in ACTIVE:
                self.sums[name] = self.sums.get(name, torch.zeros_like(term)) + term
        self.images += images
        self.step += 1
        self.steps += 1
        self._fresh += 1
        self._time(images)

    def failure(self) -> tuple[int, float] | None:
        """Return the first step of this epoch whose loss is not finite, and that loss.

        Waits for the device.
        """
        step = int(self._failed)
        return None if step < 0 else (step, float(self._loss))

    def end_epoch(self, active: dict[str, float]) -> None:
        """Close the epoch: means of the terms, the last shares of active pairs, images, seconds."""
        means = {name: float(total) / self.step for name, total in self.sums.items()}
        self._time(0)
        self.curve.append({**means, **active, "images": self.images, "seconds": self.seconds})
        self.epoch, self.step, self.images, self.seconds, self.sums = self.epoch + 1, 0, 0, 0.0, {}

    def rate(self) -> float:
        """Return images a second without warm-up; with it, where there is nothing else."""
        if self.timed_seconds:
            return self.timed_images / self.timed_seconds
        images = self.images + sum(entry["images"] for entry in self.curve)
        seconds = self.seconds + sum(entry["seconds"] for entry in self.curve)
        return images / seconds if seconds else 0.0

    def state(self) -> dict[str, Any]:
        """Return all that `load_state` needs."""
        self.peak_mb = max(self.peak_mb, peak_memory_mb(self.device))
        return {name: value for name, value in vars(self).items() if name in _SAVED}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        vars(self).update(state)
        self.sums = {name: value.to(self.device) for name, value in self.sums.items()}

    def _time(self, images: int) -> None:
        passed = self._passed()
        self.seconds += passed
        self.wall += passed
        if self._fresh > WARM_UP:
            self.timed_images += images
            self.timed_seconds += passed

    def _passed(self) -> float:
        now = time.monotonic()
        passed, self._mark = now - self._mark, now
        return passed


_SAVED = (
    *("epoch", "step", "steps", "curve", "chunks", "sums", "images", "timed_images"),
    *("seconds", "timed_seconds", "wall", "peak_mb"),
)


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB (10^6 bytes): of the GPU, or of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    status = Path("/proc/self/status")
    said = status.read_text(encoding="utf-8") if status.exists() else ""
    found = re.search(r"VmHWM:\s+(\d+)", said)
    # The peak of getrusage begins with that of the process that started this one.
    used = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * 1024 / 1e6
