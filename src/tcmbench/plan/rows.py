"""A suite, run by run: the row that says what each one costs."""

from dataclasses import dataclass, replace
from pathlib import Path

from tcmbench.config.check import runs, train_config
from tcmbench.config.schema import Config
from tcmbench.plan import network, objective
from tcmbench.plan.gpus import Gpu
from tcmbench.plan.memory import fitting_chunk, memory_of
from tcmbench.plan.rates import Rates
from tcmbench.plan.steps import steps_of
from tcmbench.training.settings import Settings


@dataclass(frozen=True)
class Row:
    """One training; the fields are the columns of the CSV.

    Attributes:
        steps_exact: whether the prepared manifest gave the steps.
        tflop_per_step: 10^12 operations, forward and backward, in all passes, with the loss.
        peak_gb: GPU memory in GB (10^9 bytes) by the formula.
        hours_from: what made the hours: a share of the GPU's peak, or images a second.
    """

    dataset: str
    backbone: str
    loss: str
    variant: str
    seed: int
    precision: str
    batch_size: int
    chunk_size: int
    passes: int
    epochs: int
    steps_per_epoch: int
    steps: int
    steps_exact: bool
    tflop_per_step: float
    peak_gb: float
    hours: float
    hours_from: str


def plan(config: Config, gpu: Gpu, share: float, rates: Rates, folder: Path) -> list[Row]:
    """Plan every run of the chosen suite, in its order.

    Args:
        config: the checked configuration.
        gpu: where they run, one at a time.
        share: of the GPU's peak that a training reaches.
        rates: images a second, which count where they are known.
        folder: working directory, whose prepared manifests give exact numbers of steps.

    Raises:
        UserError: a run does not fit the GPU, or a dataset is of unknown size.
    """
    rows = []
    for run in runs(config):
        settings = Settings.from_json(train_config(config, run))
        # The run's own name of its loss says at which point of a sweep it is.
        rows.append(replace(row_of(settings, gpu, share, rates, folder), loss=run.loss))
    return rows


def row_of(settings: Settings, gpu: Gpu, share: float, rates: Rates, folder: Path) -> Row:
    """Plan one run; see `plan`."""
    batch, steps = settings.optimization.batch_size, steps_of(settings, folder)
    precision = gpu.precision(settings.compute.precision)
    work = network.work_of(settings.model, settings.view.crop, precision)
    loss = objective.work_of(settings, steps.classes)
    memory = memory_of(settings, work, loss)
    chunk = fitting_chunk(settings, memory, gpu.memory)
    twice = 0 if chunk >= batch else max(0, batch - settings.optimization.kept_chunks * chunk)
    forward = (batch + twice) * work.forward + loss.operations
    backward = batch * work.backward
    operations = (forward + backward) / 1e12
    seconds = rates.seconds(settings.backbone, precision, steps.total * batch, twice / batch)
    source = rates.source
    if seconds is None:
        # The loss is float32 in both directions, and a small part.
        peaks = gpu.peaks(precision)
        seconds = steps.total * (forward / peaks[0] + backward / peaks[1]) / 1e12 / share
        source = f"{100 * share:g} % of {peaks[0]:g} TFLOP/s forward and {peaks[1]:g} backward"
    return Row(
        settings.dataset,
        settings.backbone,
        settings.loss.name,
        settings.variant,
        settings.seed,
        precision,
        batch,
        chunk,
        2 if twice else 1,
        settings.optimization.epochs,
        steps.epoch,
        steps.total,
        steps.exact,
        operations,
        memory.peak(chunk) / 1e9,
        seconds / 3600,
        source,
    )
