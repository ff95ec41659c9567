"""The summary of all comparisons: what is sure, and what would crush a panel."""

import math

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tcmbench.plots.summary import draw_summary


def table(rows=12):
    frame = pd.DataFrame(
        {
            "dataset": ["cub"] * rows,
            "scale": "full",
            "backbone": [f"net{i}" for i in range(rows)],
            "loss": "smooth_ap",
            "n_seeds": 5,
            "interval": "paired t",
            "epsilon": 0.1,
        }
    )
    for metric, base in (("recall_at_1", 0.5), ("opis", 0.004), ("epsilon_opis", 0.04)):
        frame[f"{metric}_base"], frame[f"{metric}_tcm"] = base, 0.9 * base
        frame[f"{metric}_delta"] = -0.1 * base
        frame[f"{metric}_delta_low"], frame[f"{metric}_delta_high"] = -0.2 * base, -0.05 * base
    frame["opis_delta_percent"] = frame["opis_delta_percent_low"] = -10.0
    frame["opis_delta_percent_high"] = -10.0
    return frame


def points(axes, rows=12):
    """The marks of the changes, by row: those of a single point that is no arrow."""
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1]
    marks = [line for line in lines if line.get_marker() not in "<>"]
    assert len(marks) == rows
    return marks


def test_every_metric_has_its_interval():
    _, opis, recall, worst = draw_summary(table()).axes
    for axes, factor, base in ((opis, 1e3, 0.004), (recall, 100, 0.5), (worst, 1e3, 0.04)):
        ends = [tuple(x.get_xdata()) for x in axes.lines if len(x.get_xdata()) == 2]
        wanted = pytest.approx((-0.2 * factor * base, -0.05 * factor * base))
        assert sum(end == wanted for end in ends) == 12


def test_a_change_whose_interval_holds_0_is_hollow():
    frame = table()
    frame.loc[[2, 5], "opis_delta_high"] = 0.001
    figure = draw_summary(frame)
    hollow = [to_hex(mark.get_markerfacecolor()) == "#ffffff" for mark in points(figure.axes[1])]
    assert [place for place, found in enumerate(hollow) if found] == [2, 5]
    assert "interval holds 0" in [text.get_text() for text in figure.legends[0].get_texts()]
    legend = draw_summary(table()).legends[0].get_texts()
    assert "interval holds 0" not in [text.get_text() for text in legend]


def test_one_wild_interval_is_cut_off_and_said():
    frame = table()
    frame.loc[3, "recall_at_1_delta_high"] = 0.9
    axes = draw_summary(frame).axes[2]
    assert [text.get_text() for text in axes.texts] == ["90"]
    # 1.5 times the end that four of five do not exceed: 10 points.
    (arrow,) = [line for line in axes.lines if line.get_marker() == ">"]
    assert float(arrow.get_xdata()[0]) == pytest.approx(15)
    assert axes.get_xlim() == pytest.approx((-16.2, 16.2))
    usual = draw_summary(table()).axes[2]
    assert not usual.texts
    assert not [line for line in usual.lines if line.get_marker() in "<>"]


def test_rows_without_an_interval_are_bars():
    frame = table()
    for metric in ("recall_at_1", "opis", "epsilon_opis"):
        frame[[f"{metric}_delta_low", f"{metric}_delta_high"]] = math.nan
    axes = draw_summary(frame.assign(interval="no interval")).axes[1]
    assert sum(tuple(x.get_xdata()) == pytest.approx((0, -0.4)) for x in axes.lines) == 12
