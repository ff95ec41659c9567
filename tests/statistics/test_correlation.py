"""The break between two lines, and the correlation on each side of it."""

import numpy as np
import pytest
from scipy import stats

from tcmbench.statistics.correlation import find_break, side


def slow_break(x, y):
    """Every split by numpy's own fit: (squared rest, x of the split)."""
    order = np.argsort(x, kind="stable")
    x, y = np.asarray(x, float)[order], np.asarray(y, float)[order]
    found = []
    for split in range(1, len(x)):
        if x[split] == x[split - 1]:
            continue
        sides = [(x[:split], y[:split]), (x[split:], y[split:])]
        if min(len(np.unique(part)) for part, _ in sides) < 3:
            continue
        rest = sum(np.square(b - np.polyval(np.polyfit(a, b, 1), a)).sum() for a, b in sides)
        found.append((rest, (x[split] + x[split - 1]) / 2))
    return min(found) if found else None


def test_two_exact_lines_break_where_they_part():
    # Falls by 2 a step to x = 4, then rises by 1 a step from another height.
    x = [1, 2, 3, 4, 6, 7, 8]
    y = [9, 7, 5, 3, 5, 6, 7]
    found = find_break(x, y)
    assert found.at == 5.0
    assert (found.below.slope, found.below.intercept) == pytest.approx((-2, 11))
    assert (found.above.slope, found.above.intercept) == pytest.approx((1, -1))
    assert (found.below.count, found.above.count) == (4, 3)
    assert (found.below.x_range, found.above.x_range) == ((1, 4), (6, 8))
    assert (found.below.pearson, found.above.pearson) == pytest.approx((-1, 1))
    assert found.gain > 0


@pytest.mark.parametrize("seed", range(25))
def test_break_is_the_best_of_all_splits(seed):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(6, 30))
    # Rounded, so that some x are equal.
    x = generator.uniform(0.1, 0.6, count).round(2)
    y = generator.normal(0.004, 0.001, count)
    wanted = slow_break(x, y)
    found = find_break(x, y, resamples=20)
    if wanted is None:
        assert found is None
    else:
        assert found.at == pytest.approx(wanted[1])
        for part, mask in ((found.below, x < found.at), (found.above, x > found.at)):
            assert part.count == mask.sum()
            assert part.slope == pytest.approx(np.polyfit(x[mask], y[mask], 1)[0])


def test_order_and_units_do_not_matter():
    generator = np.random.default_rng(3)
    x, y = generator.uniform(0, 1, 15), generator.uniform(0, 1, 15)
    first = find_break(x, y)
    shuffled = generator.permutation(15)
    assert find_break(x[shuffled], y[shuffled]) == first
    scaled = find_break(100 * x + 5, 1e-3 * y)
    assert scaled.at == pytest.approx(100 * first.at + 5)
    assert scaled.above.pearson == pytest.approx(first.above.pearson)
    assert scaled.gain == pytest.approx(first.gain)


def test_interval_of_the_break_narrows_with_the_noise():
    x = np.linspace(0, 1, 20)
    clean = np.where(x < 0.6, 1 - x, x - 0.2)
    noise = np.random.default_rng(0).normal(size=20)
    little, much = (find_break(x, clean + scale * noise) for scale in (0.01, 0.3))
    assert little.low <= 0.6 <= little.high
    assert little.high - little.low < 0.5 * (much.high - much.low)
    assert little.low <= little.at <= little.high


def test_one_line_is_not_bettered_by_two():
    generator = np.random.default_rng(1)
    gains = []
    for _ in range(40):
        x = generator.uniform(0, 1, 24)
        gains.append(find_break(x, 2 * x + generator.normal(0, 0.2, 24), resamples=0).gain)
    # The break is searched for, so noise now and then gains: mostly it must not.
    assert np.mean(np.array(gains) > 0) < 0.35


def test_correlation_of_five_points_by_hand():
    # Deviations (−2, −1, 0, 1, 2) and (−2, 0, −1, 1, 2): 9 / √(10 · 10).
    found = side([1, 2, 3, 4, 5], [1, 3, 2, 4, 5])
    assert (found.slope, found.intercept) == pytest.approx((0.9, 0.3))
    assert found.pearson == pytest.approx(0.9)
    assert found.spearman == pytest.approx(0.9)
    # artanh 0.9 = 1.4722; 1.95996 / √2 = 1.3859; tanh of 0.0863 and 2.8581.
    assert (found.low, found.high) == pytest.approx((0.0861, 0.9935), abs=1e-4)


def test_interval_is_scipys():
    generator = np.random.default_rng(0)
    x = generator.normal(size=12)
    y = x + generator.normal(size=12)
    found = side(x, y)
    wanted = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)


def test_interval_covers_at_its_level():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        x = generator.normal(size=8)
        found = side(x, 0.6 * x + 0.8 * generator.normal(size=8))
        hits += found.low <= 0.6 <= found.high
    # 0.95 ± 4 standard errors of 400 trials.
    assert abs(hits / 400 - 0.95) < 4 * (0.95 * 0.05 / 400) ** 0.5


def test_few_points_say_little():
    three = side([1, 2, 3], [1, 3, 2])
    assert (three.low, three.high) == (-1, 1)
    with pytest.raises(ValueError, match="at least 3 points, got 2"):
        side([1, 2], [1, 2])
    assert find_break([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) is None
    assert find_break([1, 1, 1, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7]) is None
    with pytest.raises(ValueError, match="finite"):
        find_break([1, 2, 3, 4, 5, np.nan], range(6))


def test_what_does_not_vary_has_no_correlation():
    flat = side([1, 2, 3, 4], [5, 5, 5, 5])
    assert np.isnan([flat.pearson, flat.low, flat.high, flat.spearman]).all()
    assert (flat.slope, flat.intercept) == (0, 5)
    upright = side([2, 2, 2], [1, 2, 3])
    assert np.isnan(upright.pearson)
    assert upright.slope == 0


def slow_bic(rest, count, parameters):
    return count * np.log(rest / count) + parameters * np.log(count)


def test_the_gain_is_the_difference_of_two_bics():
    generator = np.random.default_rng(4)
    x = generator.uniform(0, 1, 18)
    y = 3 + 2 * x + generator.normal(0, 0.2, 18)
    one = np.square(y - np.polyval(np.polyfit(x, y, 1), x)).sum()
    two, _ = slow_break(x, y)
    # A line has two parameters; two lines and the break between them have five.
    wanted = slow_bic(one, 18, 2) - slow_bic(two, 18, 5)
    assert find_break(x, y, resamples=0).gain == pytest.approx(wanted)


def test_a_perfect_fit_gains_what_the_bound_of_its_likelihood_allows():
    # Of y = |x|, whose best single line is flat, two lines leave nothing.
    x = [-3, -2, -1, 0, 1, 2, 3]
    found = find_break(x, [abs(value) for value in x], resamples=0)
    assert found.gain == pytest.approx(7 * np.log(1e12) - 3 * np.log(7))
    # One line leaves nothing either: the three further parameters cost, and gain nothing.
    assert find_break(x, [2] * 7, resamples=0).gain == pytest.approx(-3 * np.log(7))


def test_six_different_x_are_enough_and_points_above_each_other_have_no_line():
    assert find_break([1, 2, 3, 4, 5, 6], [1, 2, 3, 1, 2, 3], resamples=0).at == 3.5
    # What the first five points leave is their spread about their mean: they share an x.
    x, y = [1, 1, 1, 1, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 2, 2, 2, 2, 2]
    rest, at = slow_break(x, y)
    found = find_break(x, y, resamples=0)
    assert found.at == at
    one = np.square(np.array(y) - np.polyval(np.polyfit(x, y, 1), x)).sum()
    assert found.gain == pytest.approx(10 * np.log(one / rest) - 3 * np.log(10))


def test_the_interval_of_the_break_is_the_same_each_time_and_another_seeds_is_another():
    generator = np.random.default_rng(6)
    x, y = generator.uniform(0, 1, 40), generator.uniform(0, 1, 40)
    first, again, other = (find_break(x, y, 6, seed) for seed in (0, 0, 1))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    assert first.at == other.at
    assert find_break(x, y, 6) == first
