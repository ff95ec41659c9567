"""The figure of validated margins."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tcmbench.common.errors import UserError
from tcmbench.plots.margins import CHOSEN, draw_margins


def table():
    rows = [
        {
            "dataset": "cub",
            "scale": "miniature",
            "backbone": "test_resnet",
            "loss": "recall_at_k",
            "margin_positive": margin,
            "margin_negative": 0.5,
            "weight_positive": 1.0,
            "weight_negative": 1.0,
            "opis_delta": change,
            "opis_delta_se": 0.001,
            "recall_at_1_delta": -10 * change,
            "recall_at_1_delta_se": 0.005,
            "keeps_recall": change < 0.002,
            "chosen": change < 0,
        }
        for margin, change in ((0.8, 0.001), (0.9, -0.002), (1.0, 0.003))
    ]
    return pd.DataFrame(rows)


def test_each_margins_have_a_point_with_its_error_in_both_panels():
    opis, recall = draw_margins(table()).axes
    for axes, values, error in ((opis, [1, -2, 3], 1), (recall, [-1, 2, -3], 0.5)):
        points = [bars.lines[0] for bars in axes.containers]
        assert [float(point.get_xdata()[0]) for point in points] == pytest.approx(values)
        ends = [bars.lines[2][0].get_segments()[0][:, 0] for bars in axes.containers]
        assert [float(high - low) / 2 for low, high in ends] == pytest.approx([error] * 3)
        assert [to_hex(point.get_color()) == CHOSEN.lower() for point in points] == [0, 1, 0]
        # Hollow is what loses R@1.
        assert [point.get_markerfacecolor() == "white" for point in points] == [0, 0, 1]
    assert [label.get_text() for label in opis.get_yticklabels()] == ["m⁺ 0.8", "m⁺ 0.9", "m⁺ 1"]


def test_a_table_without_errors_is_refused():
    with pytest.raises(UserError, match="no column 'opis_delta_se'"):
        draw_margins(table().drop(columns="opis_delta_se"))
