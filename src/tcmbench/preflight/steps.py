"""Real training steps of a run, on real JPEGs: from disk, on the device, and without TCM."""

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tcmbench.preflight.rows import DEVICE, DISK, WITHOUT, Row
from tcmbench.training.course import WARM_UP, peak_memory_mb
from tcmbench.training.data import LOADED_AT_ONCE, TrainingData
from tcmbench.training.engine import Engine
from tcmbench.training.objective import Objective
from tcmbench.training.settings import Settings


class Steps:
    """The ways to take a step that are compared, each a function that takes one.

    Args:
        settings: a run with TCM, whose manifest lists the JPEGs.
        device: where it runs.

    Attributes:
        ways: by name; what stands beside them in one run may be added.
        images: of a batch, uint8 [B, 3, H, W] on the device.
    """

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        # Two parts ahead of each loading process: what was loaded while others were timed.
        parts = 2 * (torch.get_num_threads() - 1)
        self.ahead = 1 + -(-parts * LOADED_AT_ONCE // settings.optimization.batch_size)
        data = TrainingData(settings)
        self.engine = Engine(settings, data.num_classes, device)
        self.batches: Iterator[tuple[object, Tensor, Tensor]] = data.batches(0, 0, device)
        _, images, labels = next(self.batches)
        self.images, labels = images.clone(), labels.clone()
        # The same network, optimiser and batch; the objective alone differs.
        with_tcm, without = self.engine.objective, Objective(settings.loss, None).to(device)
        self.ways: dict[str, Callable[[], object]] = {
            DISK: lambda: self._step(with_tcm, *next(self.batches)[1:]),
            DEVICE: lambda: self._step(with_tcm, self.images, labels),
            WITHOUT: lambda: self._step(without, self.images, labels),
        }

    def measured(self, jpegs: str, rounds: int, steps: int, workers: int) -> list[Row]:
        """Return medians of alternating rounds, after a warm-up of each way.

        Args:
            jpegs: size of the pictures, for the table.
            rounds: of each way.
            steps: of each round.
            workers: processes that load images, for the table.
        """
        memory = {}
        for way in self.ways:
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            self.seconds(way, min(WARM_UP, steps))
            memory[way] = peak_memory_mb(self.device)
        seconds: dict[str, list[float]] = {way: [] for way in self.ways}
        for _ in range(rounds):
            for way, found in seconds.items():
                found.append(self.seconds(way, steps))
        plan = self.settings.optimization
        return [
            Row(
                backbone=self.settings.backbone,
                loss=self.settings.loss.name,
                jpegs=jpegs,
                way=way,
                batch_size=plan.batch_size,
                chunk_size=self.engine.chunk.size,
                kept_chunks=plan.kept_chunks,
                precision=self.engine.precision,
                compiled=self.settings.compute.compile,
                workers=workers,
                seconds=statistics.median(found),
                memory_mb=memory[way],
            )
            for way, found in seconds.items()
        ]

    def seconds(self, way: str, steps: int) -> float:
        """Return the seconds of a step, over `steps` of them."""
        for _ in range(self.ahead if way == DISK else 0):
            self.ways[way]()
        self._synchronize()
        began = time.perf_counter()
        for _ in range(steps):
            self.ways[way]()
        self._synchronize()
        return (time.perf_counter() - began) / steps

    def _step(self, objective: Objective, images: Tensor, labels: Tensor) -> None:
        self.engine.objective = objective
        self.engine.step(images, labels, False)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
