"""One training step of each pair at full image size on the processor, each in its own process."""

import itertools
import multiprocessing
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

PIXELS = 224


def single_steps(backbones: Sequence[str], losses: Sequence[str], batch: int, chunk: int) -> None:
    """Print seconds, peak memory and loss terms of a two-pass step with TCM."""
    print(f"batch {batch}, chunks of {chunk}, float32, {PIXELS} x {PIXELS} pixels")
    context = multiprocessing.get_context("spawn")
    for backbone, loss in itertools.product(backbones, losses):
        with context.Pool(1) as pool:
            print(pool.apply(_step, (backbone, loss, batch, chunk)), flush=True)


def _step(backbone: str, loss: str, batch: int, chunk: int) -> str:
    import torch
    from bench_step import settings_of

    from tcmbench.training.course import peak_memory_mb
    from tcmbench.training.engine import Engine

    options = Namespace(batch=batch, chunk=chunk, kept=0, precision="auto", compile=False)
    settings = settings_of(backbone, loss, options, Path())
    device = torch.device("cpu")
    engine = Engine(settings, batch, device)
    before = peak_memory_mb(device)
    images = torch.randint(0, 256, (batch, 3, PIXELS, PIXELS), dtype=torch.uint8)
    labels = torch.arange(batch) // settings.optimization.samples_per_class
    began = time.perf_counter()
    terms = engine.step(images, labels, True)
    seconds = time.perf_counter() - began
    values = ", ".join(f"{name} {float(value):.4f}" for name, value in terms.items())
    return (
        f"{backbone}, {loss}: {seconds:.1f} s, peak {peak_memory_mb(device):,.0f} MB "
        f"({peak_memory_mb(device) - before:,.0f} MB above the built network); {values}"
    )
