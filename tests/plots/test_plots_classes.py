"""Figures of one dataset's runs: error rates at one threshold, and training curves."""

import json

import numpy as np
import pandas as pd
import pytest

from tcmbench.common.errors import UserError
from tcmbench.plots import deployer, operating, style, training
from tcmbench.tables.runs import read_runs
from tests.tables.run_folders import CUB, write_pair, write_run

# --- error rates --------------------------------------------------------------------------------

# Three classes at the thresholds 0.8, 0.9 and 1.0.
FAR = np.array([[0.00, 0.02, 0.06], [0.01, 0.03, 0.10], [0.03, 0.09, 0.20]])
FRR = np.array([[0.50, 0.40, 0.10], [0.30, 0.20, 0.00], [1.00, 0.60, 0.50]])
SIZES = [2, 3, 5]


def write_rates(folder, far=FAR, frr=FRR, thresholds=(0.8, 0.9, 1.0), sizes=None):
    classes, points = far.shape
    pd.DataFrame(
        {
            "class": np.repeat(np.arange(10, 10 + classes), points),
            "threshold": np.tile(thresholds, classes),
            "utility": 0.5,
            "sensitivity": 1 - np.ravel(frr),
            "specificity": 1 - np.ravel(far),
        }
    ).sample(frac=1, random_state=0).to_parquet(folder / "utility.parquet")
    if sizes is not None:
        # In an order of its own, with a class of one image that has no curve.
        pd.DataFrame(
            {
                "class": [99, *range(9 + classes, 9, -1)],
                "num_images": [1, *sizes[::-1]],
                "recall_at_1": 0.5,
            }
        ).to_parquet(folder / "classes.parquet")
    return folder


def run_with_rates(tmp_path, name=f"{CUB}/base/seed0", sizes=None, **metrics):
    return read_runs([write_rates(write_run(tmp_path, name, **metrics), sizes=sizes)])[0]


def test_the_lower_end_of_the_range_is_taken_as_it_is_stored(tmp_path):
    found = operating.read_operating(run_with_rates(tmp_path))
    assert (found.target, found.threshold) == (0.01, 0.8)
    np.testing.assert_allclose(found.far, [0.00, 0.01, 0.03])
    np.testing.assert_allclose(found.frr, [0.5, 0.3, 1.0])
    # 0.03 alone is more than twice 0.01.
    assert found.missed == pytest.approx(1 / 3)


def test_the_upper_end_as_well(tmp_path):
    found = operating.read_operating(run_with_rates(tmp_path), 0.1)
    assert found.threshold == pytest.approx(1.0)
    np.testing.assert_allclose(found.far, [0.06, 0.10, 0.20])
    np.testing.assert_allclose(found.frr, [0.1, 0.0, 0.5])
    assert found.missed == 0


def test_in_between_all_pairs_have_the_target(tmp_path):
    # Of 11 images, the classes have 2·9, 3·8 and 5·6 negatives. At 0.9 their mean rate is
    # (18·0.02 + 24·0.03 + 30·0.09) / 72 = 0.0525; 0.03 lies 0.02 / 0.0425 of the way from 0.01.
    found = operating.read_operating(run_with_rates(tmp_path, sizes=SIZES), 0.03)
    share = 0.02 / 0.0425
    assert found.threshold == pytest.approx(0.8 + 0.1 * share)
    np.testing.assert_allclose(found.far, FAR[:, 0] + share * (FAR[:, 1] - FAR[:, 0]))
    np.testing.assert_allclose(found.frr, FRR[:, 0] + share * (FRR[:, 1] - FRR[:, 0]))
    at_point = operating.read_operating(run_with_rates(tmp_path / "b", sizes=SIZES), 0.0525)
    assert at_point.threshold == pytest.approx(0.9)


@pytest.mark.parametrize("target", [0.01, 0.02, 0.05, 0.1])
def test_rates_are_those_of_the_pairs(tmp_path, target):
    """Against counting the pairs of real embeddings at the threshold that was found."""
    from tcmbench.metrics import opis
    from tcmbench.metrics.io.written import write_utility

    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), generator.integers(3, 9, 12))
    rows = generator.normal(size=(12, 8))[labels] + 0.7 * generator.normal(size=(len(labels), 8))
    result = opis(rows, labels, num_thresholds=401)
    folder = write_run(
        tmp_path, f"{CUB}/base/seed0", d_min=result.d_min, d_max=result.d_max, far_range=[0.01, 0.1]
    )
    write_utility(folder / "utility.parquet", result)
    sizes = np.bincount(labels)
    table = {"class": range(12), "num_images": sizes, "recall_at_1": 0.5}
    pd.DataFrame(table).to_parquet(folder / "classes.parquet")
    found = operating.read_operating(read_runs([folder])[0], target)

    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = np.sqrt(np.maximum(2 - 2 * unit @ unit.T, 0))
    differ = labels[:, None] != labels[None]
    overall = (distance[differ] <= found.threshold + 1e-6).mean()
    assert overall == pytest.approx(target, abs=2e-3)
    for index in range(12):
        own = distance[labels == index]
        rate = (own[:, labels != index] <= found.threshold + 1e-6).mean()
        assert found.far[index] == pytest.approx(rate, abs=0.02)


def test_the_share_that_misses_counts_more_than_twice():
    run = None
    rates = np.array([0.005, 0.02, 0.0201, 0.4])
    assert operating.Operating(run, 0.01, 0.8, rates, rates).missed == 0.5


@pytest.mark.parametrize(
    ("target", "metrics", "problem"),
    [
        (0.5, {}, r"0\.5 lies outside the calibration range of .*, 0\.01 to 0\.1; choose one"),
        (0.001, {}, "lies outside"),
        (None, {"far_range": None, "frr_range": [0.1, 0.2]}, "calibrated by false reject rates"),
        (0.05, {}, r"classes\.parquet does not exist, so only the ends"),
    ],
)
def test_targets_that_cannot_be_met(tmp_path, target, metrics, problem):
    with pytest.raises(UserError, match=problem):
        operating.read_operating(run_with_rates(tmp_path, **metrics), target)


def test_classes_that_are_not_those_of_the_curves(tmp_path):
    run = run_with_rates(tmp_path, sizes=SIZES)
    table = {"class": [10], "num_images": [2], "recall_at_1": [0.5]}
    pd.DataFrame(table).to_parquet(run.folder / "classes.parquet")
    with pytest.raises(UserError, match="lacks classes of"):
        operating.read_operating(run, 0.05)


def rate_pairs(tmp_path, cells=(CUB,), far=FAR, frr=FRR, **options):
    folders = []
    for cell in cells:
        base, tcm = write_pair(tmp_path, cell, **options)
        folders += [write_rates(base, far, frr), write_rates(tcm, far / 2, frr / 2)]
    return operating.read_operating_pairs(folders, "cub", None)


def test_deployer_shows_every_class_and_the_box_of_it(tmp_path):
    pairs, notes = rate_pairs(tmp_path, (CUB, "cub/vit_b16/recall_at_k"), scale="miniature")
    assert notes == []
    figure = deployer.draw_deployer(pairs)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "ResNet-50 · Smooth-AP",
        "ViT-B/16 · Recall@k",
    ]
    # Base above +TCM in each row, the first row on top.
    assert left.get_ylim()[0] > left.get_ylim()[1]
    centres = [dots.get_offsets()[:, 1].mean() for dots in left.collections]
    np.testing.assert_allclose(centres, [-0.2, 0.2, 0.8, 1.2], atol=0.14)
    # A rate of 0 is drawn at a hundredth of the target.
    np.testing.assert_allclose(left.collections[0].get_offsets()[:, 0], [0.01, 1, 3])
    np.testing.assert_allclose(left.collections[1].get_offsets()[:, 0], [0.01, 0.5, 1.5])
    np.testing.assert_allclose(right.collections[0].get_offsets()[:, 0], [50, 30, 100])
    medians = [line.get_xdata()[0] for line in right.lines if line.get_linewidth() == 1.6]
    assert medians == pytest.approx([50, 25, 50, 25])
    shares = [text.get_text() for text in left.texts]
    assert shares == ["33 %", "0 %", "33 %", "0 %", "> 2×"]
    lines = {line.get_xdata()[0] for line in left.lines if list(line.get_ydata()) == [0, 1]}
    assert sorted(lines) == pytest.approx([1.0, 2.0])
    assert left.get_xscale() == "log"
    assert left.get_xlabel().startswith("false accept rate of the class (%)")
    assert right.get_xlabel() == "false reject rate of the class (%)"
    title = figure.get_suptitle()
    assert title.startswith("CUB-200-2011 (miniature): each test class at one threshold")
    assert "false accept rate of 1 % over all pairs (seed 0)" in title


@pytest.mark.parametrize("classes", [1, 11_316])
def test_deployer_of_extreme_class_counts(tmp_path, classes):
    far = np.random.default_rng(0).uniform(0, 0.1, (classes, 3))
    pairs, _ = rate_pairs(tmp_path, far=far, frr=far)
    style.save(deployer.draw_deployer(pairs), tmp_path, "deployer")
    assert (tmp_path / "deployer.svg").stat().st_size < 500_000


# --- training -----------------------------------------------------------------------------------


def trained(tmp_path, name, epochs, scale="full"):
    folder = write_run(tmp_path, name)
    record = {"config": {"scale": scale}, "epochs": epochs}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def epoch(total, base=None, tcm=None):
    terms = {"total": total, "base": base, "tcm": tcm, "images": 64, "seconds": 1.0}
    return {key: value for key, value in terms.items() if value is not None}


def lines(axes):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]


def test_training_draws_each_term_of_each_run(tmp_path):
    runs = read_runs(
        [
            trained(tmp_path, f"{CUB}/base/seed0", [epoch(3, 3), epoch(2, 2)]),
            trained(tmp_path, f"{CUB}/base/seed1", [epoch(4, 4), epoch(1, 1)]),
            trained(tmp_path, f"{CUB}/tcm/seed0", [epoch(9, 3, 6), epoch(5, 1, 4)]),
            trained(tmp_path, "cub/vit_b16/smooth_ap/base/seed0", [epoch(0.5)]),
        ]
    )
    figure = training.draw_training(runs)
    base, tcm, lone, missing = figure.axes
    # Without TCM, total and base are one line.
    assert lines(base) == [([1, 2], [3, 2]), ([1, 2], [4, 1])]
    assert lines(tcm) == [([1, 2], [3, 1]), ([1, 2], [6, 4]), ([1, 2], [9, 5])]
    colours = style.VARIANT_COLOURS
    assert {line.get_color() for line in base.lines} == {colours["base"]}
    assert tcm.lines[-1].get_color() == colours["tcm"]
    # The legend shows each look that is drawn.
    shown = {(line.get_color(), line.get_linestyle()) for line in figure.legends[0].get_lines()}
    drawn = {(line.get_color(), line.get_linestyle()) for line in (*base.lines, *tcm.lines)}
    assert drawn <= shown
    assert lines(lone) == [([1], [0.5])]
    assert lone.lines[0].get_marker() == "."
    assert [text.get_text() for text in missing.texts] == ["not run"]
    assert not missing.lines
    # The same limits in a row, from 0 to above the highest.
    assert base.get_ylim() == tcm.get_ylim()
    assert base.get_ylim()[0] == 0
    assert base.get_ylim()[1] > 9
    assert lone.get_ylim()[0] == 0
    assert lone.get_ylim()[1] < 1
    assert base.get_ylabel() == "ResNet-50 · Smooth-AP\nloss"
    assert lone.get_xlabel() == "epoch"
    # Told apart without colour.
    assert len({line._unscaled_dash_pattern for line in tcm.lines}) == 3
    assert figure.get_suptitle() == "CUB-200-2011: training loss, mean of each epoch (seed 0, 1)"


def test_training_without_epochs(tmp_path):
    runs = read_runs([write_run(tmp_path, f"{CUB}/base/seed0")])
    base, tcm = training.draw_training(runs).axes
    assert [text.get_text() for text in base.texts] == ["no curve recorded"]
    assert [text.get_text() for text in tcm.texts] == ["not run"]


def test_files_are_equal_for_equal_input(tmp_path):
    folders = [
        trained(tmp_path, f"{CUB}/{variant}/seed0", [epoch(2, 1, 1)] * 3)
        for variant in ("base", "tcm")
    ]
    for folder in folders:
        write_rates(folder)
    pairs, _ = operating.read_operating_pairs(folders, "cub", None)
    for out in ("one", "two"):
        style.save(deployer.draw_deployer(pairs), tmp_path / out, "deployer")
        style.save(training.draw_training(read_runs(folders)), tmp_path / out, "training")
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 6
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
