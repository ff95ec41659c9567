"""Simulate how often the intervals of the tables cover the truth, and write the rates as a table.

python tests/benchmarks/interval_coverage.py --out FILE.csv [--simulations 2000]

Classes are drawn from an endless population whose OPIS, ε-OPIS and R@1 with and without TCM are
known to three digits, and the intervals are made from each draw as the tables make them. "wide":
many classes fail at some threshold (OPIS 0.03), as in the miniatures; "mild": curves differ less
(OPIS 0.001). Rows "another training" ask whether the interval covers the change that a network
trained again would have, where trainings scatter as much as draws of classes do.
"""

import argparse
import collections
import csv
import functools
import os
import sys
from pathlib import Path

# Sums split among threads may differ in the last bits, and the table shall be the same everywhere.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

import numpy as np
from scipy.special import expit, ndtr, ndtri

from tcmbench.common.files import atomic_path
from tcmbench.common.progress import Progress
from tcmbench.statistics import opis_intervals, paired_t_interval, recall_interval
from tcmbench.statistics.estimates import Curves

POINTS, RESAMPLES, EPSILON = 21, 1000, 0.1
POPULATIONS = {"wide": 1.0, "mild": 0.35}
CLASSES = (20, 50, 100, 250, 2452)
SEEDS = (2, 3, 5)
NONE = (np.nan, np.nan)
ERRORS = {
    "normal": lambda random, count: random.normal(size=count),
    "skewed (exponential)": lambda random, count: random.exponential(size=count) - 1,
    "heavy-tailed (t, 3 degrees)": lambda random, count: random.standard_t(3, size=count),
}
COLUMNS = (
    "interval",
    "quantity",
    "population",
    "n",
    "simulations",
    "covered",
    "too_high",
    "too_low",
)


def draw(random, count, spread):
    """Draw classes: their curves [count, POINTS] twice, images, and shares of hits twice."""
    shared = random.normal(size=count)
    thresholds = np.linspace(0.85, 1.0, POINTS)
    curves, hits = [], []
    images = random.integers(3, 60, count)
    for own, width in ((0.0, 0.12), (0.6, 0.07)):
        centre = (1 - own**2) ** 0.5 * shared + own * random.normal(size=count)
        near = 0.75 + spread * width * centre
        far = 1.15 + spread * 0.09 * random.normal(size=count)
        sensitivity = ndtr((thresholds - near[:, None]) / 0.1)
        specificity = ndtr((far[:, None] - thresholds) / 0.08)
        curves.append(2 * sensitivity * specificity / (sensitivity + specificity))
        chance = expit(1 + own / 6 - 6 * (near - 0.75) + 0.5 * random.normal(size=count))
        hits.append(random.binomial(images, chance) / images)
    return *curves, images.astype(float), *hits


def scores(utility):
    """OPIS and ε-OPIS of many classes, written out plainly."""
    weights = np.full(POINTS, 1 / (POINTS - 1))
    weights[[0, -1]] /= 2
    ranked = utility[np.argsort(utility @ weights)]
    worst = round(EPSILON * len(utility))
    gap = ranked[:worst].mean(axis=0) - ranked[worst:].mean(axis=0)
    return float(utility.var(axis=0) @ weights), float(gap**2 @ weights)


@functools.cache
def truth(spread):
    """The changes in the whole population, from a million of its classes."""
    base, tcm, images, before, after = draw(np.random.default_rng(1), 1_000_000, spread)
    (opis, worst), (opis_tcm, worst_tcm) = scores(base), scores(tcm)
    return {
        "OPIS": opis_tcm - opis,
        "OPIS, relative": 100 * (opis_tcm / opis - 1),
        "10%-OPIS": worst_tcm - worst,
        "R@1": float((images * (after - before)).sum() / images.sum()),
    }


def class_intervals(random, count, spread):
    """The intervals of one draw of `count` classes, and two that were not chosen."""
    base, tcm, images, before, after = draw(random, count, spread)
    found = opis_intervals(base, tcm, EPSILON, RESAMPLES)
    percentile, bca = rejected(random, base, tcm) if count <= 1000 else (NONE, NONE)
    return {
        "OPIS, percentile": percentile,
        "OPIS, BCa": bca,
        "OPIS": found["opis_delta"],
        "OPIS, relative": found["opis_delta_percent"],
        "10%-OPIS": found["epsilon_opis_delta"],
        "R@1": recall_interval(images, before, after, RESAMPLES),
    }


def rejected(random, base, tcm):
    """The percentile and the BCa interval of the change of OPIS."""

    def change(counts):
        after, before = (Curves(side, EPSILON).drawn(counts).opis() for side in (tcm, base))
        return after.value - before.value

    count = len(base)
    measured = change(np.ones((1, count)))
    drawn = change(random.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float))
    left_out = change(1 - np.eye(count))
    pull = left_out.mean() - left_out
    skew = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    shift = ndtri(np.clip(np.mean(drawn < measured), 0.001, 0.999))
    moved = shift + ndtri([0.025, 0.975])
    bca = np.quantile(drawn, ndtr(shift + moved / (1 - skew * moved)))
    return np.quantile(drawn, [0.025, 0.975]), bca


def class_rows(population, count, simulations, random, progress):
    """Rates for draws of `count` classes; few draws are enough where a class set is large."""
    spread = POPULATIONS[population]
    wanted = truth(spread)
    draws = max(simulations // 4, 1) if count > 1000 else simulations
    bounds = collections.defaultdict(lambda: np.empty((draws, 2)))
    for index in range(draws):
        for name, interval in class_intervals(random, count, spread).items():
            bounds[name][index] = interval
        progress.update()
    for name, found in bounds.items():
        if np.isfinite(found).all():
            value = wanted[name.removesuffix(", BCa").removesuffix(", percentile")]
            yield row("class bootstrap", name, population, count, found, value)
    # Half a width is about 1.96 standard errors.
    scatter = np.ptp(bounds["OPIS"], axis=1) / 3.92
    another = wanted["OPIS"] + scatter * random.normal(size=draws)
    yield row(
        "class bootstrap", "OPIS, another training", population, count, bounds["OPIS"], another
    )


def seed_rows(simulations, random):
    """Rates of the t-interval over seeds, for errors around a mean of 0."""
    for name, errors in ERRORS.items():
        for count in SEEDS:
            bounds = [paired_t_interval(errors(random, count)) for _ in range(10 * simulations)]
            yield row("paired t over seeds", "any", name, count, np.array(bounds), 0)


def row(interval, quantity, population, count, bounds, value):
    """One line of the table: shares of simulations that cover, lie above and lie below."""
    high, low = np.mean(bounds[:, 0] > value), np.mean(bounds[:, 1] < value)
    rates = [f"{rate:.3f}" for rate in (1 - high - low, high, low)]
    return [interval, quantity, population, count, len(bounds), *rates]


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", required=True, type=Path, help="table of rates, .csv")
    parser.add_argument("--simulations", type=int, default=2000, help="draws (default: 2000)")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    total = len(POPULATIONS) * len(CLASSES) * arguments.simulations
    with Progress(total, "draws", "coverage") as progress:
        rows = [
            line
            for population in POPULATIONS
            for count in CLASSES
            for line in class_rows(population, count, arguments.simulations, random, progress)
        ]
    rows += seed_rows(arguments.simulations, random)
    with atomic_path(arguments.out) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
