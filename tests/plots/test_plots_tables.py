"""Figures of a suite's tables: arrows, the Pareto suite, the ablation suite."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tcmbench.common.errors import UserError
from tcmbench.plots import ablation, pareto, plane, style
from tcmbench.statistics.correlation import find_break
from tcmbench.tables.reading import read_frame

# --- arrows -------------------------------------------------------------------------------------


def compared(dataset, backbone, loss, base, tcm):
    """A row of comparisons.csv from (error, OPIS) of base and tcm."""
    return {
        "dataset": dataset,
        "scale": "full",
        "backbone": backbone,
        "loss": loss,
        "recall_at_1_base": 1 - base[0],
        "recall_at_1_tcm": 1 - tcm[0],
        "opis_base": base[1],
        "opis_tcm": tcm[1],
    }


SIXTEEN = pd.DataFrame(
    [
        compared(dataset, backbone, loss, (0.3 - 0.01 * i, 0.02), (0.29, 0.01 + 0.001 * i))
        for dataset in ("cub", "cars196", "sop", "inat2018")
        for i, (backbone, loss) in enumerate(
            (b, loss) for b in ("resnet50", "vit_b16") for loss in ("smooth_ap", "recall_at_k")
        )
    ]
)


def test_arrows_lead_from_base_to_tcm():
    frame = pd.DataFrame(
        [
            compared("cub", "resnet50", "smooth_ap", (0.30, 0.012), (0.28, 0.004)),
            compared("cub", "vit_b16", "recall_at_k", (0.20, 0.010), (0.21, 0.006)),
            compared("sop", "vit_b16", "recall_at_k", (0.12, 0.020), (0.12, 0.009)),
        ]
    )
    cub, sop = plane.draw_plane(frame).axes
    assert [axes.get_title(loc="left") for axes in (cub, sop)] == ["CUB-200-2011", "SOP"]
    ends = [(arrow.xyann, arrow.xy) for arrow in cub.texts]
    np.testing.assert_allclose(ends, [[(12, 30), (4, 28)], [(10, 20), (6, 21)]])
    assert len(sop.texts) == 1
    marks = [(line.get_xdata()[0], line.get_markerfacecolor()) for line in cub.lines]
    assert [x for x, _ in marks] == pytest.approx([12, 4, 10, 6])
    assert [face == "none" for _, face in marks] == [True, False, True, False]
    # Cells differ in shape, variants in colour.
    colours = list(style.VARIANT_COLOURS.values())
    assert [line.get_color() for line in cub.lines] == 2 * colours
    first, _, second, other = (line.get_marker() for line in cub.lines)
    assert first != second == other == sop.lines[0].get_marker()
    assert cub.get_xlabel().startswith("OPIS (×10⁻³)")
    assert cub.get_ylabel().startswith("recognition error 1 − R@1 (%)")


def test_sixteen_comparisons_have_sixteen_arrows():
    figure = plane.draw_plane(SIXTEEN)
    assert [len(axes.texts) for axes in figure.axes] == [4, 4, 4, 4]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:4] == [
        "base loss",
        "base loss + TCM",
        "ResNet-50 · Smooth-AP",
        "ResNet-50 · Recall@k",
    ]
    assert len(labels) == 6


def test_marks_at_one_place_can_be_told_apart():
    at = (0.3, 0.012)
    cells = [(b, loss) for b in ("resnet50", "vit_b16") for loss in ("smooth_ap", "recall_at_k")]
    frame = pd.DataFrame([compared("cub", *cell, at, at) for cell in cells])
    (axes,) = plane.draw_plane(frame).axes
    looks = {(line.get_marker(), line.get_color(), line.get_markersize()) for line in axes.lines}
    assert len(looks) == len(axes.lines) == 8
    # Every edge is seen: nothing is filled so that it hides what lies below.
    faces = [line.get_markerfacecolor() for line in axes.lines]
    assert all(face == "none" or face[1] < 0.5 for face in faces)


@pytest.mark.parametrize(
    ("opis", "scales"), [(0.004, ("linear", "linear")), (0.002, ("log", "linear"))]
)
def test_wide_ranges_are_logarithmic(opis, scales):
    # Base is 0.012: 3 times 0.004, 6 times 0.002.
    frame = pd.DataFrame([compared("cub", "resnet50", "smooth_ap", (0.3, 0.012), (0.2, opis))])
    (axes,) = plane.draw_plane(frame).axes
    assert (axes.get_xscale(), axes.get_yscale()) == scales


def test_perfect_recall_has_no_logarithm():
    frame = pd.DataFrame([compared("cub", "resnet50", "smooth_ap", (0.3, 0.012), (0.0, 0.0))])
    (axes,) = plane.draw_plane(frame).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")


# --- Pareto -------------------------------------------------------------------------------------


def setting(error, opis, loss="smooth_ap", batch=64, variant="base", seed=0, dataset="cub", **more):
    return {
        "dataset": dataset,
        "scale": "full",
        "backbone": "resnet50",
        "loss": loss,
        "variant": variant,
        "seed": seed,
        "batch_size": batch,
        "opis": opis,
        "recall_at_1": 1 - error,
    } | more


def bent(count=5):
    """Errors of 20 % and more in steps of 4 %; OPIS falls to the middle and rises after it."""
    errors = 0.2 + 0.04 * np.arange(2 * count)
    opis = np.where(np.arange(2 * count) < count, 0.03 - 0.05 * errors, 0.1 * errors - 0.025)
    return pd.DataFrame(
        [
            setting(error, one, batch=64 * 2 ** (i % 3))
            for i, (error, one) in enumerate(zip(errors, opis, strict=True))
        ]
    ).assign(loss=[f"loss{i}" for i in range(2 * count)])


def test_seeds_are_averaged_and_variants_joined():
    frame = pd.DataFrame(
        [
            setting(0.30, 0.010, seed=0),
            setting(0.32, 0.014, seed=1),
            setting(0.28, 0.006, seed=0, variant="tcm"),
            setting(0.40, 0.020, batch=128),
            setting(0.50, 0.030, batch=256, variant="tcm"),
        ]
    )
    points = pareto.settings(frame)
    assert points["batch_size"].tolist() == [64, 128]
    np.testing.assert_allclose(points["error"], [31, 40])
    np.testing.assert_allclose(points["opis"], [12, 20])
    np.testing.assert_allclose(points["error_tcm"], [28, np.nan])
    np.testing.assert_allclose(points["opis_tcm"], [6, np.nan])


def test_pareto_marks_batches_and_joins_variants():
    frame = pd.DataFrame(
        [
            setting(0.30, 0.010, batch=100),
            setting(0.25, 0.012, batch=400),
            setting(0.24, 0.005, batch=400, variant="tcm"),
        ]
    )
    (axes,) = pareto.draw_pareto(frame).axes
    large, margin, small = axes.collections
    np.testing.assert_allclose(large.get_offsets(), [[12, 25]])
    np.testing.assert_allclose(margin.get_offsets(), [[5, 24]])
    np.testing.assert_allclose(small.get_offsets(), [[10, 30]])
    # Area goes with the batch, colour with the variant, and shape with the loss.
    assert large.get_sizes()[0] == 4 * small.get_sizes()[0] == margin.get_sizes()[0]
    edges = [to_hex(mark.get_edgecolor()[0]).upper() for mark in (large, margin)]
    assert edges == list(style.VARIANT_COLOURS.values())
    np.testing.assert_array_equal(large.get_paths()[0].vertices, margin.get_paths()[0].vertices)
    (joint,) = axes.lines
    assert joint.get_linestyle() == ":"
    np.testing.assert_allclose(joint.get_xydata(), [[12, 25], [5, 24]])
    assert axes.get_xlabel().startswith("OPIS (×10⁻³)")
    assert "Too few base models to look for an inflection: n = 2." in axes.texts[0].get_text()


def test_inflection_is_drawn_where_it_was_put():
    (axes,) = pareto.draw_pareto(bent()).axes
    below, above = axes.lines
    # OPIS (×10⁻³) = 30 − 0.5 · error (%) up to 36 %, then error − 25.
    np.testing.assert_allclose(below.get_xydata(), [[20, 20], [12, 36]], atol=1e-6)
    np.testing.assert_allclose(above.get_xydata(), [[15, 40], [31, 56]], atol=1e-6)
    text = " ".join(axes.texts[0].get_text().split())
    assert text.startswith("Inflection at an error of 38.0 % (95 % of resamples: ")
    assert "two lines fit better than one" in text
    assert "Weaker models: n = 5, r = 1.00 [1.00, 1.00], OPIS and error fall together" in text
    assert "Stronger: n = 5, r = −1.00 [−1.00, −1.00], lower error comes with higher OPIS" in text


def test_words_do_not_claim_what_is_not_shown():
    generator = np.random.default_rng(5)
    errors, opis = generator.uniform(20, 50, 12), generator.uniform(5, 9, 12)
    found = find_break(errors, opis)
    text = pareto.words(errors, opis, found)
    for part in (found.below, found.above):
        if part.low < 0 < part.high:
            assert "no correlation shown" in text
    assert "fit better than one (ΔBIC +0.5)" in pareto.words(errors, opis, replace(found, gain=0.5))
    text = pareto.words(errors, opis, replace(found, gain=-0.5))
    assert "fit no better than one (ΔBIC −0.5)" in text
    five = pareto.words([20, 30, 40, 50, 60], [1, 3, 2, 4, 5][::-1], None)
    assert five == (
        "Too few base models to look for an inflection: n = 5, r = −0.90 [−0.99, −0.09], lower "
        "error comes with higher OPIS."
    )
    flat = pareto.words([20, 30, 40], [5, 5, 5], None)
    assert flat == ("Too few base models to look for an inflection: n = 3, no spread to correlate.")


def test_two_datasets_and_backbones_have_panels_and_fills():
    frame = pd.concat(
        [bent(), bent().assign(dataset="sop", backbone="vit_b16"), bent(4).assign(dataset="sop")]
    )
    figure = pareto.draw_pareto(frame)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["CUB-200-2011", "SOP"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"ResNet-50", "ViT-B/16", "batch of 64", "batch of 256"} < set(labels)
    # The second backbone is drawn open.
    faces = [len(mark.get_facecolor()) for mark in figure.axes[1].collections]
    assert set(faces) == {0, 1}


def test_pareto_of_other_tables():
    with pytest.raises(UserError, match="no column 'batch_size'"):
        pareto.draw_pareto(bent().drop(columns="batch_size"))
    with pytest.raises(UserError, match="no run of a base loss"):
        pareto.draw_pareto(bent().assign(variant="tcm"))


# --- ablation -----------------------------------------------------------------------------------


def ablated(points, base_opis=0.010, base_recall=0.60, seeds=(0,)):
    """runs.csv of a base run a seed, and one with TCM for each (m+, m−, λ+, λ−, OPIS, R@1)."""
    rows = []
    for seed in seeds:
        common = {"dataset": "cub", "scale": "full", "backbone": "resnet50", "loss": "smooth_ap"}
        common["seed"] = seed
        rows.append(
            common | {"variant": "base", "opis": base_opis + seed, "recall_at_1": base_recall}
        )
        for *settings, opis, recall in points:
            rows.append(
                common
                | {"variant": "tcm", "opis": opis + seed, "recall_at_1": recall}
                | dict(zip(ablation.DEFAULTS, settings, strict=True))
            )
    return pd.DataFrame(rows)


MARGINS = [
    (0.8, 0.4, 1, 1, 0.012, 0.58),
    (0.8, 0.5, 1, 1, 0.009, 0.60),
    (0.9, 0.5, 1, 1, 0.004, 0.63),
]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_heat_maps_show_changes_against_base(seeds):
    figure = ablation.draw_ablation(ablated(MARGINS, seeds=seeds))
    opis, recall = figure.axes
    nan = np.nan
    np.testing.assert_allclose(
        np.ma.filled(opis.images[0].get_array(), nan), [[2, -1], [nan, -6]], atol=1e-9
    )
    np.testing.assert_allclose(
        np.ma.filled(recall.images[0].get_array(), nan), [[-2, 0], [nan, 3]], atol=1e-9
    )
    assert [text.get_text() for text in opis.texts] == ["+2.00", "−1.00", "not run", "−6.00"]
    assert [text.get_text() for text in recall.texts] == ["−2.0", "0.0", "not run", "+3.0"]
    assert [label.get_text() for label in opis.get_yticklabels()] == ["0.8", "0.9"]
    assert [label.get_text() for label in opis.get_xticklabels()] == ["0.4", "0.5"]
    assert opis.get_xlabel() == "margin m⁻ (cosine)"
    assert opis.images[0].origin == "lower"
    assert opis.get_title(loc="left").endswith("change of OPIS (×10⁻³)")
    assert recall.get_title(loc="left").endswith("change of R@1 (points)")


def test_better_has_one_colour_and_the_default_a_frame():
    opis, recall = ablation.draw_ablation(ablated(MARGINS)).axes
    # Zero is the middle, and the largest change the end: −6 and +3 are both best.
    assert opis.images[0].get_clim() == pytest.approx((-6, 6))
    assert recall.images[0].get_clim() == pytest.approx((-3, 3))
    best = [
        axes.images[0].cmap(axes.images[0].norm(value)) for axes, value in ((opis, -6), (recall, 3))
    ]
    assert best[0] == pytest.approx(best[1], abs=0.02)
    for axes in (opis, recall):
        frames_drawn = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        assert {(patch.get_x(), patch.get_y()) for patch in frames_drawn} == {(0.55, 0.55)}


def test_margins_and_weights_are_rows_of_their_own():
    points = [*MARGINS, (0.9, 0.5, 2, 1, 0.005, 0.62), (0.9, 0.5, 2, 2, 0.006, 0.61)]
    figure = ablation.draw_ablation(ablated([*points, (0.8, 0.4, 2, 2, 0.001, 0.9)]))
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["margin m⁺ (cosine)", "weight λ⁺"]
    # The last point varies both and belongs into neither.
    weights = [text.get_text() for text in figure.axes[2].texts]
    assert weights == ["−6.00", "not run", "−5.00", "−4.00"]


def test_no_default_no_frame():
    figure = ablation.draw_ablation(ablated(MARGINS[:2]))
    assert not figure.axes[0].patches


def test_ablation_of_other_tables():
    frame = ablated(MARGINS)
    with pytest.raises(UserError, match="no column 'margin_negative'"):
        ablation.draw_ablation(frame.drop(columns="margin_negative"))
    with pytest.raises(UserError, match="whose base run is there"):
        ablation.draw_ablation(frame[frame["variant"] == "tcm"])
    with pytest.raises(UserError, match="varies neither the margins"):
        ablation.draw_ablation(ablated(MARGINS[2:]))


# --- files --------------------------------------------------------------------------------------


def test_files_are_equal_for_equal_input(tmp_path):
    for folder in ("one", "two"):
        style.save(plane.draw_plane(SIXTEEN), tmp_path / folder, "plane")
        style.save(pareto.draw_pareto(bent()), tmp_path / folder, "pareto")
        style.save(ablation.draw_ablation(ablated(MARGINS)), tmp_path / folder, "ablation")
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 9
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist; make it with"),
        ("", "is not a table"),
        ("a,b\n", "has no row yet"),
    ],
)
def test_tables_that_cannot_be_drawn(tmp_path, content, problem):
    path = tmp_path / "runs.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=problem):
        read_frame(path)
