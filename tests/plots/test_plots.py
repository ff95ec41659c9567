"""Figures: what is drawn, on which axes, in which files; and the texts that the report shows."""

import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tcmbench.common.errors import UserError
from tcmbench.plots import curves, style, summary, utility
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import CUB, write_pair, write_utility

BASE_RANGE, TCM_RANGE = (0.8, 1.0), (0.7, 0.85)


def bells(seed, span, classes=7, points=11):
    """Thresholds [K] and rising curves [T, K] in 0 to 1."""
    thresholds = np.linspace(*span, points)
    centres = np.random.default_rng(seed).uniform(*span, (classes, 1))
    return thresholds, 1 / (1 + np.exp(-(thresholds - centres) / 0.05))


def write_curves(root, cell=CUB, seed=0, classes=7, **options):
    base, tcm = write_pair(
        root, cell, seed, {"opis": 0.0123, "recall_at_1": 0.5}, {"opis": 0.0045}, **options
    )
    write_utility(base, *bells(seed, BASE_RANGE, classes))
    write_utility(tcm, *bells(seed + 50, TCM_RANGE, classes))
    return [base, tcm]


def thin_lines(axes):
    # The band between the quantiles is a collection as well, but of polygons.
    return next(found for found in axes.collections if hasattr(found, "get_segments"))


# --- utility ------------------------------------------------------------------------------------


def test_every_class_is_drawn_where_it_was_measured(tmp_path):
    pairs, notes = curves.read_pairs(write_curves(tmp_path), "cub")
    figure = utility.draw_pairs(pairs)
    left, right = figure.axes
    assert notes == []
    for axes, seed, span in ((left, 0, BASE_RANGE), (right, 50, TCM_RANGE)):
        thresholds, wanted = bells(seed, span)
        segments = np.array(thin_lines(axes).get_segments())
        assert segments.shape == (7, 11, 2)
        np.testing.assert_array_equal(segments[:, :, 0], np.tile(thresholds, (7, 1)))
        np.testing.assert_array_equal(segments[:, :, 1], wanted)
        *quantiles, mean = axes.lines
        np.testing.assert_allclose(mean.get_ydata(), wanted.mean(axis=0))
        for line, share in zip(quantiles, (0.1, 0.9), strict=True):
            np.testing.assert_allclose(line.get_ydata(), np.quantile(wanted, share, axis=0))
        (shade,) = axes.patches
        assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx(span)


def test_panels_share_axes_that_hold_both_ranges(tmp_path):
    other = "cub/vit_b16/recall_at_k"
    pairs, _ = curves.read_pairs(write_curves(tmp_path) + write_curves(tmp_path, other), "cub")
    figures = [utility.draw_pairs(pairs)]
    figures += [utility.draw_variant(pairs, variant) for variant in ("base", "tcm")]
    limits = {axes.get_xlim() for figure in figures for axes in figure.axes}
    assert len(limits) == 1
    # 0.7 to 1.0 with 8 % of 0.3 on both sides.
    assert limits.pop() == pytest.approx((0.676, 1.024))
    assert len({axes.get_ylim() for figure in figures for axes in figure.axes}) == 1
    assert [len(figure.axes) for figure in figures] == [4, 2, 2]
    assert [axes.get_ylabel() for axes in figures[0].axes[::2]] == [
        "ResNet-50 · Smooth-AP",
        "ViT-B/16 · Recall@k",
    ]
    assert "OPIS 12.3 ×10⁻³, R@1 50.0 %" in figures[0].axes[0].get_title(loc="left")
    assert "OPIS 4.50 ×10⁻³" in figures[0].axes[1].get_title(loc="left")
    assert "OPIS 4.50 ×10⁻³" in figures[2].axes[0].get_title(loc="left")


def test_an_odd_number_of_panels_leaves_no_empty_axes(tmp_path):
    figure = utility.draw_variant(curves.read_pairs(write_curves(tmp_path), "cub")[0], "tcm")
    assert [axes.get_visible() for axes in figure.axes] == [True, False]


@pytest.mark.parametrize(("classes", "lines"), [(500, True), (501, False)])
def test_many_classes_are_shaded_instead_of_drawn(tmp_path, classes, lines):
    pairs, _ = curves.read_pairs(write_curves(tmp_path, classes=classes), "cub")
    figure = utility.draw_pairs(pairs)
    for axes in figure.axes:
        assert len(axes.collections) == lines
        assert len(axes.images) == (not lines)
        assert len(axes.lines) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    what = "one class" if lines else "share of the classes, darker is more"
    assert legend[:2] == [f"{what}, base loss", f"{what}, base loss + TCM"]
    if not lines:
        (image,) = figure.axes[0].images
        assert image.get_extent() == pytest.approx([*BASE_RANGE, 0, 1])
        assert image.origin == "lower"
        # Summed over a column, the shares are all classes.
        np.testing.assert_allclose(image.get_array().sum(axis=0), 1)


def test_shares_count_the_curves_in_each_step_by_hand():
    # Two flat curves and one that rises from 0 to 1: half way it is at 0.5.
    values = np.array([[0.2, 0.2, 0.2], [1.0, 1.0, 1.0], [0.0, 0.5, 1.0]])
    share = utility.shares(np.array([0.8, 0.9, 1.0]), values, (0.8, 1.0))
    assert share.shape == (utility.BINS, utility.COLUMNS)
    np.testing.assert_allclose(share.sum(axis=0), 1)
    np.testing.assert_allclose(share[int(0.2 * utility.BINS)], 1 / 3, atol=0.34)
    assert (share[int(0.2 * utility.BINS)] >= 1 / 3 - 1e-12).all()
    # 1 belongs to the highest step.
    assert (share[-1] >= 1 / 3 - 1e-12).all()
    rising = share.copy()
    rising[int(0.2 * utility.BINS)] -= 1 / 3
    rising[-1] -= 1 / 3
    heights = (rising > 0.3).argmax(axis=0) / utility.BINS
    wanted = (np.arange(utility.COLUMNS) + 0.5) / utility.COLUMNS
    np.testing.assert_allclose(heights, wanted, atol=1 / utility.BINS)


@pytest.mark.parametrize("span", [(0.3, 1.9), (0.5, 1.0), (0.62, 0.64)])
def test_shares_follow_each_curve_exactly(span):
    generator = np.random.default_rng(0)
    values = generator.uniform(0, 1, (40, 6))
    thresholds = np.array([0.3, 0.5, 0.6, 0.7, 1.1, 1.9])
    share = utility.shares(thresholds, values, span)
    at = span[0] + (np.arange(utility.COLUMNS) + 0.5) / utility.COLUMNS * (span[1] - span[0])
    for column in range(0, utility.COLUMNS, 13):
        heights = [np.interp(at[column], thresholds, curve) for curve in values]
        wanted, _ = np.histogram(heights, bins=utility.BINS, range=(0, 1))
        np.testing.assert_allclose(share[:, column], wanted / 40)


def test_shares_of_a_range_of_one_point():
    share = utility.shares(np.full(3, 0.8), np.full((5, 3), 0.4), (0.8, 0.8))
    np.testing.assert_allclose(share[int(0.4 * utility.BINS)], 1)


@pytest.mark.parametrize("classes", [7, 600])
def test_curves_go_on_outside_the_calibration_range(tmp_path, classes):
    """Where they are worth seeing: the axis ends where the mean utility does."""
    folders = write_curves(tmp_path, classes=classes)
    around = np.linspace(0, 2, 41)
    bell = np.where((around > 0.32) & (around < 1.42), 0.6, 0.0)
    for folder in folders:
        write_utility(folder, around, np.tile(bell, (classes, 1)), "curves.parquet")
    (pair,), _ = curves.read_pairs(folders, "cub")
    for one, span in zip(pair, (BASE_RANGE, TCM_RANGE), strict=True):
        x, values = one.whole
        inside = (x >= span[0]) & (x <= span[1])
        assert (np.diff(x) > 0).all()
        np.testing.assert_array_equal(x[inside], one.thresholds)
        np.testing.assert_array_equal(values[:, inside], one.utility)
        np.testing.assert_array_equal(values[:, ~inside][0], np.interp(x[~inside], around, bell))
    figure = utility.draw_pairs([pair])
    for axes, span in zip(figure.axes, (BASE_RANGE, TCM_RANGE), strict=True):
        low, high = axes.get_xlim()
        assert 0.2 < low < 0.35
        assert 1.4 < high < 1.55
        (shaded,) = axes.patches
        assert shaded.get_x() == pytest.approx(span[0])
        assert shaded.get_width() == pytest.approx(span[1] - span[0])
        *_, mean = axes.lines
        assert mean.get_xdata()[[0, -1]].tolist() == [0, 2]


def test_curves_of_other_classes_are_refused(tmp_path):
    folders = write_curves(tmp_path)
    write_utility(folders[0], [0.0, 1.0, 2.0], np.full((6, 3), 0.5), "curves.parquet")
    with pytest.raises(UserError, match=r"has other classes in curves\.parquet than in utility"):
        curves.read_pairs(folders, "cub")


def test_sops_classes_are_drawn_in_seconds(tmp_path):
    pairs, _ = curves.read_pairs(write_curves(tmp_path, classes=11_316), "cub")
    started = time.process_time()
    style.save(utility.draw_pairs(pairs), tmp_path, "figure")
    # Measured: 2 s. As single lines it took 20 s.
    assert time.process_time() - started < 10
    for suffix in ("svg", "pdf", "png"):
        assert (tmp_path / f"figure.{suffix}").stat().st_size < 1_000_000


def test_one_class_and_one_comparison(tmp_path):
    pairs, _ = curves.read_pairs(write_curves(tmp_path, classes=1), "cub")
    left, _ = utility.draw_pairs(pairs).axes
    assert len(thin_lines(left).get_segments()) == 1


def test_a_figure_is_drawn_once_a_format_and_once_to_arrange_it(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda *given: (drawn.append(1), draw(*given))[1])
    figure = Figure(layout="constrained")
    figure.subplots().plot([0, 1])
    style.save(figure, tmp_path, "figure")
    assert len(drawn) == 1 + len(list(tmp_path.glob("figure.*"))) == 4


def test_lowest_common_seed_is_drawn(tmp_path):
    folders = [*write_curves(tmp_path, seed=3), *write_curves(tmp_path, seed=1)]
    folders += [write_curves(tmp_path, seed=0)[0]]
    pairs, notes = curves.read_pairs(folders, "cub")
    assert [(base.run.run.seed, tcm.run.run.seed) for base, tcm in pairs] == [(1, 1)]
    assert "seed0 is left out" in notes[0]
    assert "(seed 1)" in utility.draw_pairs(pairs).get_suptitle()


def test_a_miniature_is_called_one(tmp_path):
    pairs, _ = curves.read_pairs(write_curves(tmp_path, scale="miniature"), "cub")
    assert utility.draw_pairs(pairs).get_suptitle().startswith("CUB-200-2011 (miniature): ")


def test_curves_of_another_dataset(tmp_path):
    with pytest.raises(UserError, match="is not a run on 'sop'; leave it out"):
        curves.read_pairs(write_curves(tmp_path), "sop")


def test_missing_curves(tmp_path):
    folders = write_curves(tmp_path)
    (folders[1] / "utility.parquet").unlink()
    with pytest.raises(UserError, match=r"utility\.parquet does not exist; evaluate the run with"):
        curves.read_pairs(folders, "cub")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (None, "is not a utility table"),
        (pd.DataFrame({"class": [1]}), "is not a utility table"),
        (
            pd.DataFrame({"class": [1, 1], "threshold": [0.5, 0.5], "utility": [0.1, 0.2]}),
            "is not a utility table",
        ),
        (
            pd.DataFrame({"class": [1, 2], "threshold": [0.5, 0.6], "utility": [0.1, 0.2]}),
            "lacks points of some curves",
        ),
        (pd.DataFrame({"class": [], "threshold": [], "utility": []}), "lacks points"),
    ],
    ids=["no parquet", "no columns", "twice", "gaps", "empty"],
)
def test_broken_curves(tmp_path, table, problem):
    folders = write_curves(tmp_path)
    path = folders[0] / "utility.parquet"
    if table is None:
        path.write_bytes(b"PAR1 nothing")
    else:
        table.to_parquet(path)
    with pytest.raises(UserError, match=problem):
        curves.read_pairs(folders, "cub")


# --- summary ------------------------------------------------------------------------------------


def comparisons(tmp_path, *changes, seeds=1):
    """comparisons.csv of a base of R@1 0.5, OPIS 0.004, and one (R@1, OPIS) a cell."""
    cells = ["cub/resnet50/smooth_ap", "cub/vit_b16/smooth_ap", "sop/resnet50/recall_at_k"]
    folders = []
    for cell, (recall, opis) in zip(cells, changes, strict=False):
        for seed in range(seeds):
            folders += write_pair(
                tmp_path, cell, seed, tcm={"recall_at_1": recall + 0.01 * seed, "opis": opis}
            )
    write_tables(folders, "paper", tmp_path / "tables")
    return pd.read_csv(tmp_path / "tables/comparisons.csv")


def marks(axes):
    """The markers of a panel: (x, y, colour, shape)."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_color(), line.get_marker())
        for line in axes.lines
        if line.get_marker() not in ("None", "none", None)
    ]


def test_summary_places_and_judges_each_comparison(tmp_path):
    frame = comparisons(tmp_path, (0.6, 0.001), (0.4, 0.005), (0.5, 0.004))
    left, opis, middle, right = summary.draw_summary(frame).axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "CUB-200-2011",
        "ResNet-50 · Smooth-AP",
        "ViT-B/16 · Smooth-AP",
        "SOP",
        "ResNet-50 · Recall@k",
    ]
    good, bad, equal = (summary.LOOKS[name] for name in ("better", "worse", "equal"))
    base, tcm = style.VARIANT_COLOURS.values()
    assert marks(left)[::2] == [(4.0, height, base, "o") for height in (1, 2, 4)]
    assert marks(left)[1::2] == [(1.0, 1, tcm, "o"), (5.0, 2, tcm, "o"), (4.0, 4, tcm, "o")]
    joints = [line.get_color() for line in left.lines if line.get_marker() == "None"]
    assert joints[:3] == [good[0], bad[0], equal[0]]
    # Where both lie at one place, +TCM stands inside the base loss's ring.
    ring, dot = [line for line in left.lines if line.get_marker() == "o"][-2:]
    assert ring.get_markersize() > dot.get_markersize() + 1
    assert ring.get_markerfacecolor() == "none"
    found = marks(middle)
    assert [mark[0] for mark in found] == pytest.approx([10, -10, 0])
    assert [mark[1:] for mark in found] == [(1, *good), (2, *bad), (4, *equal)]
    assert [mark[2:] for mark in marks(right)] == [equal] * 3
    assert right.get_xlabel().startswith("change of 10%-OPIS\n(×10⁻³)")
    assert [mark[0] for mark in marks(opis)] == pytest.approx([-3, 1, 0])
    assert [mark[1:] for mark in marks(opis)] == [(1, *good), (2, *bad), (4, *equal)]
    # The first row is at the top.
    assert left.get_ylim()[0] > left.get_ylim()[1]


@pytest.mark.parametrize(("opis", "scale"), [(0.0003, "linear"), (0.0001, "log"), (0, "linear")])
def test_summary_of_a_wide_range_is_logarithmic(tmp_path, opis, scale):
    # Base is 0.004: 13 times 0.0003, 40 times 0.0001.
    figure = summary.draw_summary(comparisons(tmp_path, (0.5, opis)))
    assert figure.axes[0].get_xscale() == scale


def test_summary_says_which_kind_of_interval_it_draws(tmp_path):
    frame = comparisons(tmp_path, (0.6, 0.001))
    frame[["recall_at_1_delta_low", "recall_at_1_delta_high"]] = 0.05, 0.12
    frame["interval"] = "class bootstrap"
    figure = summary.draw_summary(frame)
    drawn = [line.get_xdata() for line in figure.axes[2].lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(x, [5, 12]) for x in drawn)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-1] == "95 % interval, n = 1, class bootstrap"


def test_summary_of_an_older_table(tmp_path):
    frame = comparisons(tmp_path, (0.6, 0.001)).drop(columns="interval")
    with pytest.raises(UserError, match="no column 'interval'; make it anew with"):
        summary.draw_summary(frame)


def test_summary_draws_intervals_of_several_seeds(tmp_path):
    frame = comparisons(tmp_path, (0.6, 0.001), seeds=3)
    figure = summary.draw_summary(frame)
    drawn = [line.get_xdata() for line in figure.axes[2].lines if len(line.get_xdata()) == 2]
    ends = 100 * frame.loc[0, ["recall_at_1_delta_low", "recall_at_1_delta_high"]].to_numpy(float)
    assert any(np.allclose(np.asarray(x, dtype=float), ends) for x in drawn)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [
        "base",
        "+TCM",
        "better",
        "equal",  # 10%-OPIS
        "interval holds 0",  # likewise
        "95 % paired t-interval over seeds",
    ]


def test_no_name_is_cut_off(tmp_path):
    frame = comparisons(tmp_path, (0.6, 0.001))
    frame["backbone"] = "a_backbone_of_a_very_long_name"
    figure = summary.draw_summary(frame)
    style.save(figure, tmp_path, "summary")
    page = figure.get_window_extent()
    for label in figure.axes[0].get_yticklabels():
        assert label.get_window_extent().x0 >= page.x0


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [7, 501])
def test_files_are_equal_for_equal_input(tmp_path, classes):
    pairs, _ = curves.read_pairs(write_curves(tmp_path, classes=classes), "cub")
    for folder in ("one", "two"):
        style.save(utility.draw_pairs(pairs), tmp_path / folder, "figure")
    for suffix, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        content = (tmp_path / f"one/figure.{suffix}").read_bytes()
        assert content.startswith(start)
        assert content == (tmp_path / f"two/figure.{suffix}").read_bytes()
    assert len(list((tmp_path / "one").iterdir())) == 3


def test_text_in_a_vector_file_is_text(tmp_path):
    pairs, _ = curves.read_pairs(write_curves(tmp_path), "cub")
    style.save(utility.draw_pairs(pairs), tmp_path, "figure")
    content = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    for text in (
        "CUB-200-2011: utility of each test class",
        "ResNet-50 · Smooth-AP",
        "base loss + TCM",
        "OPIS 12.3 ×10⁻³, R@1 50.0 %",
        "distance threshold d (L2, unit-norm embeddings)",
        "utility U(d)",
        "(F-score of sensitivity and specificity)",
        "calibration range",
    ):
        assert text in content


def test_style_leaves_matplotlib_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    pairs, _ = curves.read_pairs(write_curves(tmp_path), "cub")
    style.save(utility.draw_variant(pairs, "base"), tmp_path, "figure")
    assert dict(matplotlib.rcParams) == before


def figures(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "src/figures.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_write_every_figure(tmp_path):
    folders = write_curves(tmp_path)
    write_tables(folders, "paper", tmp_path / "tables")
    out = tmp_path / "figures"
    for arguments in (
        ("utility", "--dataset", "cub", *folders),
        ("summary", "--tables", tmp_path / "tables"),
    ):
        done = figures(*arguments[:1], "--out", out, *arguments[1:])
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    names = ("summary", "utility_cub", "utility_cub_base", "utility_cub_tcm")
    wanted = {f"{name}.{suffix}" for name in names for suffix in ("svg", "pdf", "png")}
    assert {path.name for path in out.iterdir()} == wanted


def test_summary_without_tables(tmp_path):
    done = figures("summary", "--tables", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "comparisons.csv does not exist; make it with src/aggregate.py" in done.stderr


# --- texts of the report ------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["full", "miniature"])
@pytest.mark.parametrize(
    "path", sorted((ROOT / "report").glob("*.rst")), ids=lambda path: path.name
)
def test_report_texts_are_valid(path, scale):
    from docutils.core import publish_string
    from jinja2 import Environment, StrictUndefined

    snakemake = SimpleNamespace(
        config={"suite": "demo", "suites": {"demo": {"scale": scale}}},
        wildcards=SimpleNamespace(dataset="cub", variant="tcm"),
    )
    template = Environment(undefined=StrictUndefined).from_string(path.read_text(encoding="utf-8"))
    # Level 1 stops at every remark of docutils, exit or not.
    page = publish_string(
        template.render(snakemake=snakemake),
        writer="html5",
        settings_overrides={"report_level": 1, "halt_level": 1, "embed_stylesheet": False},
    ).decode()
    assert "{{" not in page
    if path.stem in ("workflow", "comparisons"):
        assert ("miniatures" in page) == (scale == "miniature")


def test_deviations_give_each_point_a_source_and_a_choice():
    from docutils.core import publish_doctree
    from docutils.nodes import entry, row

    tree = publish_doctree((ROOT / "report/deviations.rst").read_text(encoding="utf-8"))
    rows = [[cell.astext() for cell in found.findall(entry)] for found in tree.findall(row)]
    assert all(len(cells) == 3 and all(cells) for cells in rows)
    points = " ".join(cells[0] for cells in rows)
    for point in ("Formula of OPIS", "ε-OPIS", "Calibration range", "Checkpoint", "Data"):
        assert point in points


def test_stylesheet_survives_the_report_template():
    # Snakemake puts the stylesheet through a template that escapes these.
    text = (ROOT / "report/report.css").read_text(encoding="utf-8")
    assert not set(text) & set("<>\"'&")
