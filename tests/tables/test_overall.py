"""What all rows say together, against an analysis of variance and a test of scipy's."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tcmbench.tables.overall import overall
from tests.paths import ROOT

RANDOM = np.random.default_rng(2)
BASE = RANDOM.uniform(0.002, 0.02, 16)
RATIO = np.exp(RANDOM.normal(-0.2, 0.3, 16))
RECALL = RANDOM.normal(0.01, 0.02, 16)


def table(rows=16, seeds=5, **columns):
    frame = pd.DataFrame(
        {
            "opis_base": BASE,
            "opis_tcm": BASE * RATIO,
            "epsilon_opis_base": 10 * BASE,
            "epsilon_opis_tcm": 10 * BASE,
            "recall_at_1_base": 0.5,
            "recall_at_1_tcm": 0.5 + RECALL,
            "epsilon": 0.1,
            "n_seeds": seeds,
            "dataset": [f"d{row // 4}" for row in range(16)],
            "backbone": [f"b{row // 2 % 2}" for row in range(16)],
            "loss": [f"l{row % 2}" for row in range(16)],
        }
    )
    for metric in ("opis", "epsilon_opis", "recall_at_1"):
        frame[f"{metric}_delta_low"], frame[f"{metric}_delta_high"] = -1.0, 1.0
    return frame.assign(**columns).head(rows)


def test_rows_are_counted_by_where_their_interval_lies():
    low = [-2, -2, 0.5, 0.0, -1, math.nan] + [-1] * 10
    high = [-1, -0.1, 1, 1, 0, math.nan] + [1] * 10
    counted, _ = overall(table(opis_delta_low=low, opis_delta_high=high))
    assert counted == (
        "Of 16 rows: the interval of the change of OPIS is below 0 in 2, above 0 in 1, holds 0 in "
        "12, has no interval in 1; the interval of the change of 10%-OPIS is below 0 in 0, above 0 "
        "in 0, holds 0 in 16; the interval of the change of R@1 is below 0 in 0, above 0 in 0, "
        "holds 0 in 16."
    )


def test_the_mean_over_rows_is_that_of_a_test_on_them():
    _, said = overall(table())
    logs = stats.ttest_1samp(np.log(RATIO), 0)
    low, high = (100 * math.expm1(end) for end in logs.confidence_interval())
    middle = 100 * (stats.gmean(RATIO) - 1)
    expected = f"OPIS {middle:+.1f} % [{low:+.1f}, {high:+.1f}]".replace("-", "\N{MINUS SIGN}")
    assert expected in said
    assert "10%-OPIS +0.0 % [+0.0, +0.0]" in said
    points = stats.ttest_1samp(100 * RECALL, 0).confidence_interval()
    expected = f"R@1 {100 * RECALL.mean():+.1f} points [{points.low:+.1f}, {points.high:+.1f}]"
    assert expected.replace("-", "\N{MINUS SIGN}") in said
    assert "a mixed model with a random effect of the row" in said
    assert "mixed" not in overall(table(seeds=[1] + [5] * 15))[1]


def test_of_equal_seeds_it_is_the_mixed_model():
    """The variance of a balanced one-way model's mean is MS_between / (rows x seeds)."""
    effects = RANDOM.normal(0, 1, 16)[:, None] + RANDOM.normal(0, 2, (16, 5))
    between = 5 * effects.mean(1).var(ddof=1)
    half = stats.t.ppf(0.975, 15) * math.sqrt(between / effects.size)
    interval = stats.ttest_1samp(effects.mean(1), 0).confidence_interval()
    assert (interval.high - interval.low) / 2 == pytest.approx(half)


def test_rows_with_a_margin_of_their_own_are_counted_together():
    tuned = table(setting=[f"margin positive 0.{row % 3 + 7}" for row in range(16)])
    assert overall(tuned) == overall(table())


def test_where_there_is_nothing_to_say_together():
    assert overall(table(rows=2)) == []
    several = table(loss="one", setting=[f"batch size {size}" for size in range(16)])
    assert overall(several) == []
    counted, said = overall(table(opis_tcm=0.0))
    assert "OPIS is below" in counted
    assert " OPIS " not in said


@pytest.mark.parametrize("name", ["quick", "splits", "tuned"])
def test_tables_that_were_measured_say_it(name):
    (file,) = (ROOT / "results/reference").glob(f"{name}-seeds*.csv")
    printed = file.with_suffix(".md").read_text().replace("\\", "")
    said = overall(pd.read_csv(file))
    assert len(said) == 2
    assert all(f"\n- {sentence}\n" in printed for sentence in said)
