"""Intervals over classes: against plain loops over resampled classes, and by simulated coverage."""

import csv
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.metrics import opis as measure_opis
from tcmbench.statistics import (
    MIN_CLASSES,
    classes,
    draws,
    opis_intervals,
    paired_t_interval,
    recall_interval,
)
from tcmbench.statistics.estimates import Curves, share
from tests.paths import ROOT


def curves(seed, count=30, points=11, spread=0.1):
    """Utilities of two variants, as smooth bumps whose place and height differ by class."""
    random = np.random.default_rng(seed)
    grid = np.linspace(0, 1, points)
    shared = random.normal(size=count)
    found = []
    for width in (spread, 0.7 * spread):
        place = 0.5 + width * (0.8 * shared + 0.6 * random.normal(size=count))
        found.append(0.9 - (grid - place[:, None]) ** 2)
    return found


# --- independent references: resampled classes written out, plain loops --------------------------


def integral(values):
    """Trapezoidal mean over equal steps."""
    steps = len(values) - 1
    return sum((values[k] + values[k + 1]) / 2 for k in range(steps)) / steps


def slow_opis(utility):
    return integral([np.mean((column - np.mean(column)) ** 2) for column in utility.T])


def slow_epsilon_opis(utility, epsilon):
    ranked = sorted(utility.tolist(), key=integral)
    worst = max(1, round(epsilon * len(ranked)))
    if worst >= len(ranked):
        return 0.0
    low, rest = np.mean(ranked[:worst], axis=0), np.mean(ranked[worst:], axis=0)
    return integral((low - rest) ** 2)


counted = st.lists(st.integers(0, 3), min_size=12, max_size=12).filter(lambda c: sum(c) >= 3)


@settings(deadline=None, max_examples=60)
@given(counted, st.integers(0, 99), st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9]))
def test_counted_classes_are_resampled_classes(counts, seed, epsilon):
    utility, _ = curves(seed, count=12, points=7)
    written_out = np.repeat(utility, counts, axis=0)
    estimates = Curves(utility, epsilon)
    row = np.array([counts], dtype=float)
    assert estimates.drawn(row).opis().value[0] == pytest.approx(slow_opis(written_out), abs=1e-14)
    wanted = slow_epsilon_opis(written_out, epsilon)
    assert estimates.drawn(row).epsilon_opis().value[0] == pytest.approx(wanted, abs=1e-14)


def test_all_classes_once_is_what_the_metrics_say():
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(40), random.integers(2, 9, 40))
    embeddings = random.normal(size=(40, 8))[labels] + 0.6 * random.normal(size=(len(labels), 8))
    result = measure_opis(embeddings, labels, epsilon=0.2)
    ones = np.ones((1, 40))
    estimates = Curves(result.utility, 0.2)
    assert estimates.drawn(ones).opis().value[0] == pytest.approx(result.opis, rel=1e-12)
    assert estimates.drawn(ones).epsilon_opis().value[0] == pytest.approx(
        result.epsilon_opis, rel=1e-12
    )


def estimators(seed):
    base, tcm = curves(seed, count=12, points=7)
    without, added = Curves(base, 0.3), Curves(tcm, 0.3)
    images = np.random.default_rng(seed).integers(2, 9, 12).astype(float)
    hits = images * np.random.default_rng(seed + 1).random(12)
    return {
        "opis": lambda counts: without.drawn(counts).opis(),
        "epsilon": lambda counts: without.drawn(counts).epsilon_opis(),
        "share": lambda counts: share(counts, hits, images),
        "difference": lambda counts: added.drawn(counts).opis() - without.drawn(counts).opis(),
        "log ratio": lambda counts: (
            added.drawn(counts).opis().log() - without.drawn(counts).opis().log()
        ),
    }


@pytest.mark.parametrize("name", estimators(0))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_influence_is_the_derivative_by_a_class_weight(name, seed):
    estimator = estimators(seed)[name]
    weights = 12 * np.random.default_rng(seed + 7).dirichlet(np.full(12, 20))
    influence = estimator(weights[None]).influence[0]
    influence = influence - influence @ weights / 12
    step = 1e-6
    for index in range(12):
        moved = [
            (1 - change) * weights + change * 12 * np.eye(12)[index] for change in (-step, step)
        ]
        below, above = estimator(np.array(moved)).value
        assert influence[index] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7)


def test_standard_error_by_hand():
    # Classes of one image each, hits 1, 0, 0, 1: mean 1/2, variance 1/4 (divisor 4), over 4: 1/16.
    estimate = share(np.ones((1, 4)), np.array([1.0, 0, 0, 1]), np.ones(4))
    assert estimate.value[0] == 0.5
    assert estimate.standard_error(np.ones((1, 4)))[0] == pytest.approx(0.25)
    # The first class three times and the second once: mean 3/4, variance 3/16, over 4: 3/64.
    counts = np.array([[3.0, 1, 0, 0]])
    estimate = share(counts, np.array([1.0, 0, 0, 1]), np.ones(4))
    assert estimate.standard_error(counts)[0] == pytest.approx(math.sqrt(3 / 64))


def slow_bootstrap_t(estimate, count, resamples):
    """Studentized interval with a loop over the same draws and jackknife-free plain formulas."""
    value, error = estimate(np.arange(count))
    scaled = []
    for block in draws.draws(count, resamples):
        for counts in block:
            drawn, its_error = estimate(np.repeat(np.arange(count), counts.astype(int)))
            scaled.append((drawn - value) / its_error)
    low, high = np.quantile(scaled, [0.975, 0.025])
    return value - low * error, value - high * error


def test_recall_interval_against_a_plain_loop():
    random = np.random.default_rng(5)
    images = random.integers(2, 30, 25).astype(float)
    base, tcm = random.random(25), random.random(25)

    def estimate(rows):
        n, change = images[rows], (images * (tcm - base))[rows]
        ratio = change.sum() / n.sum()
        return ratio, np.sqrt(np.mean((change - ratio * n) ** 2) / len(rows)) / n.mean()

    wanted = slow_bootstrap_t(estimate, 25, 300)
    assert recall_interval(images, base, tcm, resamples=300) == pytest.approx(wanted, rel=1e-9)


def test_opis_interval_against_a_plain_loop():
    base, tcm = curves(1, count=25, points=5)

    def estimate(rows):
        pulls = 0
        for sign, utility in ((-1, base[rows]), (1, tcm[rows])):
            mean = utility.mean(axis=0)
            pulls = pulls + sign * np.array([integral((line - mean) ** 2) for line in utility])
        return np.mean(pulls), np.std(pulls) / math.sqrt(len(rows))

    wanted = slow_bootstrap_t(estimate, 25, 300)
    found = opis_intervals(base, tcm, resamples=300)["opis_delta"]
    assert found == pytest.approx(wanted, rel=1e-9)


# --- what an interval must do --------------------------------------------------------------------


def test_swapping_base_and_tcm_mirrors_the_interval():
    base, tcm = curves(2)
    there, back = opis_intervals(base, tcm, 0.1, 500), opis_intervals(tcm, base, 0.1, 500)
    for name in ("opis_delta", "epsilon_opis_delta"):
        low, high = there[name]
        assert low < high
        assert back[name] == pytest.approx((-high, -low), rel=1e-6)
    # Of a ratio, the mirror is one over it.
    low, high = (1 + end / 100 for end in there["opis_delta_percent"])
    assert [1 + end / 100 for end in back["opis_delta_percent"]] == pytest.approx(
        [1 / high, 1 / low], rel=1e-6
    )


def test_no_change_has_no_width():
    base, _ = curves(2)
    found = opis_intervals(base, base, 0.1, 200)
    assert set(found.values()) == {(0.0, 0.0)}
    assert recall_interval(np.full(20, 5.0), np.full(20, 0.5), np.full(20, 0.5), 200) == (0, 0)


def test_same_interval_each_time_and_in_any_block(monkeypatch):
    base, tcm = curves(4)
    first = opis_intervals(base, tcm, 0.1, 400)
    assert opis_intervals(base, tcm, 0.1, 400) == first
    monkeypatch.setattr(draws, "_NUMBERS_AT_ONCE", 30 * 7)
    draws._counts.cache_clear()
    again = opis_intervals(base, tcm, 0.1, 400)
    assert {name: pytest.approx(ends, rel=1e-9) for name, ends in again.items()} == first


def test_draws_keep_the_number_of_classes():
    blocks = list(draws.draws(5, 1000))
    counts = np.concatenate(blocks)
    assert counts.shape == (1000, 5)
    assert (counts.sum(axis=1) == 5).all()
    # Each class is drawn once on average; the mean of 1,000 draws strays by 0.03.
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.12)


def test_few_classes_have_no_interval():
    base, tcm = curves(0, count=MIN_CLASSES - 1)
    assert np.isnan(list(opis_intervals(base, tcm, 0.1, 50).values())).all()
    base, tcm = curves(0, count=MIN_CLASSES)
    assert np.isfinite(list(opis_intervals(base, tcm, 0.1, 50).values())).all()


def test_a_base_without_spread_has_no_relative_interval():
    _, tcm = curves(0)
    found = opis_intervals(np.full_like(tcm, 0.5), tcm, 0.1, 100)
    assert np.isnan(found["opis_delta_percent"]).all()
    assert np.isfinite(found["opis_delta"]).all()


def test_a_higher_level_is_wider():
    base, tcm = curves(6)
    narrow, wide = (opis_intervals(base, tcm, 0.1, 500, level) for level in (0.8, 0.99))
    for name, (low, high) in narrow.items():
        assert wide[name][0] < low < high < wide[name][1]


# --- coverage and cost ---------------------------------------------------------------------------


def test_class_intervals_cover_about_as_often_as_they_say():
    base, tcm = curves(100, count=200_000)
    truth = slow_opis(tcm) - slow_opis(base)
    ends = np.array(
        [opis_intervals(*curves(seed, count=100), 0.1, 300)["opis_delta"] for seed in range(200)]
    )
    covered = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    # 95 % promised; 200 simulations stray by 0.015, and few classes cost some points.
    assert 0.87 <= covered <= 0.99


def test_seed_intervals_cover_as_often_as_they_say():
    random = np.random.default_rng(0)
    ends = np.array([paired_t_interval(random.normal(1.0, 2.0, 3)) for _ in range(2000)])
    covered = np.mean((ends[:, 0] <= 1) & (ends[:, 1] >= 1))
    assert covered == pytest.approx(0.95, abs=0.02)


def test_interval_of_two_seeds_by_hand():
    # Mean 2, deviation √2, 12.7062 of the t-distribution with one degree of freedom: 2 ± 12.7062.
    assert paired_t_interval([1, 3]) == pytest.approx((-10.7062, 14.7062), abs=1e-4)
    with pytest.raises(ValueError, match="at least two differences, got 1"):
        paired_t_interval([1.0])


def test_the_largest_set_takes_seconds():
    base, tcm = curves(0, count=11_316, points=101)
    start = time.process_time()
    opis_intervals(base, tcm, 0.1, resamples=400)
    # 0.5 s alone on two cores; 5,000 resamples are then 6 s.
    assert time.process_time() - start < 15
    assert classes.RESAMPLES >= 2000


def test_simulated_coverage_is_kept_and_honest():
    (path,) = (ROOT / "results/reference").glob("interval-coverage-*.csv")
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    at = {(row["quantity"], row["population"], int(row["n"])): row for row in rows}
    for population in ("wide", "mild"):
        chosen, percentile = (
            float(at[name, population, 100]["covered"]) for name in ("OPIS", "OPIS, percentile")
        )
        assert chosen > percentile
        assert float(at["R@1", population, 250]["covered"]) == pytest.approx(0.95, abs=0.02)
    assert float(at["any", "normal", 3]["covered"]) == pytest.approx(0.95, abs=0.01)
