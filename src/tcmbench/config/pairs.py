"""Which runs make a comparison: the same cell and seed, without and with TCM."""

from collections.abc import Iterable
from dataclasses import replace

from tcmbench.config.check import Run
from tcmbench.config.folds import plain
from tcmbench.config.sweeps import named, of_recipe, parsed


def base_of(run: Run) -> Run:
    """Return the base run that a run is compared with: without settings of the regularizer."""
    loss, point = parsed(run.loss)
    return replace(run, loss=named(loss, of_recipe(point)), variant="base")


def compared(runs: Iterable[Run]) -> list[Run]:
    """Return the tcm runs whose base run is there too."""
    known = dict.fromkeys(runs)
    return [run for run in known if run.variant == "tcm" and base_of(run) in known]


def comparisons(runs: Iterable[Run]) -> int:
    """Count the comparisons, each of one or several seeds and folds."""
    return len({replace(run, dataset=plain(run.dataset), seed=0) for run in compared(runs)})
