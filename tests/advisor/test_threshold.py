"""The threshold advisor: counts by hand, a slow bootstrap over pairs, names, page, command."""

import csv
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tcmbench.advisor import advice, advise, groups
from tcmbench.advisor.names import known_classes
from tcmbench.advisor.page import page
from tcmbench.advisor.rates import rates_around
from tcmbench.advisor.resample import _crossing, _pairs, intervals
from tcmbench.advisor.text import cosine, distance, text
from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.calibration import far_limit
from tcmbench.metrics.engine.inputs import prepare
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles
from tcmbench.metrics.io.reading import read_labelled
from tests.paths import ROOT

# Eight images as angles: class 7 is tight, class 9 wide, 5 far away, 8 alone.
ANGLES = np.radians([0, 4, 8, 30, 60, 90, 180, 184, 45])
LABELS = np.array([7, 7, 7, 9, 9, 9, 5, 5, 8])
SMALL = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def clusters(count=40, seed=0, size=(2, 9), spread=0.5):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), random.integers(*size, count))
    spreads = spread * np.exp(0.4 * random.normal(size=count))
    noise = spreads[labels, None] * random.normal(size=(len(labels), 6))
    return random.normal(size=(count, 6))[labels] + noise, labels


def pairs(embeddings, labels):
    """All unordered pairs: distances and the two classes, plainly."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    i, j = np.triu_indices(len(labels), 1)
    return np.linalg.norm(unit[i] - unit[j], axis=1), labels[i], labels[j]


# --- the threshold and its rates -----------------------------------------------------------------


def test_by_hand():
    # 36 pairs: 7 within classes (3 of 7, 3 of 9, 1 of 5), 29 between, of which 5 may be accepted at
    # FAR 0.2: differences of angle are 15 (45-30), 15 (60-45), 22 (30-8), 26, 30, and then 37. Of
    # all pairs the last before 37 is at 30, so the threshold lies midway between the two.
    found = advise(SMALL, LABELS, far=0.2)
    chord = [2 * math.sin(math.radians(angle) / 2) for angle in (30, 37)]
    assert found.distance == pytest.approx(sum(chord) / 2, abs=1e-6)
    assert found.cosine == pytest.approx(1 - (sum(chord) / 2) ** 2 / 2, abs=1e-6)
    assert found.rates["far"]["value"] == pytest.approx(5 / 29)
    # Of the seven own pairs only 30-90 degrees, 60 apart, lies beyond.
    assert found.rates["frr"]["value"] == pytest.approx(1 / 7)
    by_name = {row.label: row for row in found.worst["far"]}
    assert by_name[8].far == pytest.approx(2 / 8)  # 45 with 30 and 60
    assert by_name[8].frr is None
    assert by_name[7].far == pytest.approx(3 / 18)  # 0-30, 4-30, 8-30
    assert by_name[9].far == pytest.approx(5 / 18)
    assert by_name[9].frr == pytest.approx(1 / 3)
    assert by_name[5].far == 0
    assert [row.label for row in found.worst["far"]] == [9, 8, 7, 5]
    assert [row.label for row in found.worst["frr"]] == [9, 5, 7]
    assert (found.num_images, found.num_classes) == (9, 4)
    assert found.missed == 0
    # Four classes are too few to resample.
    assert (found.distance_interval, found.cosine_interval) == (None, None)


def test_false_reject_rate_by_hand():
    # At most 30 % of the seven own pairs may be rejected, so the ceil(0.7 * 7) = 5th smallest
    # distance decides; the angles are 4, 4, 4, 8, 30, 30, 60.
    found = advise(SMALL, LABELS, frr=0.3)
    assert found.distance == pytest.approx(2 * math.sin(math.radians(30) / 2), abs=1e-6)
    assert 1 / 7 <= found.rates["frr"]["value"] <= 0.3


@pytest.mark.parametrize("target", ["far", "frr"])
@pytest.mark.parametrize("rate", [0.003, 0.05, 0.4])
def test_rates_against_all_pairs(target, rate):
    embeddings, labels = clusters()
    found = advise(embeddings, labels, **{target: rate})
    distance, left, right = pairs(embeddings, labels)
    accepted, own = distance <= found.distance + 3e-7, left == right
    far, frr = accepted[~own].mean(), 1 - accepted[own].mean()
    assert found.rates["far"]["value"] == pytest.approx(far, abs=1e-12)
    assert found.rates["frr"]["value"] == pytest.approx(frr, abs=1e-12)
    # No nearer threshold would do: one pair fewer misses the wish (or the pair below is as near).
    if target == "far":
        assert far <= rate < far + 1 / (~own).sum()
        # Of all such thresholds it rejects the fewest pairs of one class.
        beyond = distance[~own & ~accepted].min()
        assert (own & ~accepted & (distance < beyond - 1e-6)).sum() == 0
    else:
        assert frr <= rate < frr + 1 / own.sum()
    for row in found.worst["far"]:
        mine = (left == row.label) ^ (right == row.label)
        assert row.far == pytest.approx(accepted[mine].mean(), abs=1e-12)
        assert row.images == (labels == row.label).sum()
    each = [accepted[(left == label) ^ (right == label)].mean() for label in np.unique(labels)]
    assert found.quantiles["far"]["0.5"] == pytest.approx(np.median(each))
    assert found.quantiles["far"]["1"] == pytest.approx(max(each))
    assert [row.far for row in found.worst["far"]] == pytest.approx(sorted(each)[::-1][:10])
    if target == "far":
        assert found.missed == pytest.approx(np.mean(np.array(each) > 2 * rate))


# --- the interval --------------------------------------------------------------------------------


def slow_bootstrap(embeddings, labels, rate, target, at, resamples=400):
    """Draw classes; weigh each pair by the product of its classes' counts, and count again."""
    random = np.random.default_rng(1)
    distance, left, right = pairs(embeddings, labels)
    order = np.argsort(distance)
    distance, left, right = distance[order], left[order], right[order]
    own = left == right
    count = labels.max() + 1
    found = {"threshold": [], "far": [], "frr": []}
    for _ in range(resamples):
        counts = np.bincount(random.integers(count, size=count), minlength=count)
        negative = np.where(own, 0, counts[left] * counts[right])
        positive = np.where(own, counts[left], 0)
        accepted = np.cumsum(negative) / negative.sum()
        kept = np.cumsum(positive) / positive.sum()
        crossing = accepted >= rate if target == "far" else kept >= 1 - rate
        found["threshold"].append(distance[crossing.argmax()])
        inside = distance <= at
        found["far"].append(negative[inside].sum() / negative.sum())
        found["frr"].append(positive[~inside].sum() / positive.sum())
    return {name: np.quantile(values, [0.025, 0.975]) for name, values in found.items()}


@pytest.mark.parametrize(("target", "rate"), [("far", 0.02), ("far", 0.1), ("frr", 0.1)])
def test_interval_is_about_that_of_a_bootstrap_over_pairs(target, rate):
    embeddings, labels = clusters(60, seed=3, size=(3, 9))
    found = advise(embeddings, labels, **{target: rate})
    wanted = slow_bootstrap(embeddings, labels, rate, target, found.distance)
    width = np.ptp(wanted["threshold"])
    assert found.distance_interval == pytest.approx(wanted["threshold"], abs=0.2 * width)
    for name in ("far", "frr"):
        width = np.ptp(wanted[name])
        assert found.rates[name]["interval"] == pytest.approx(wanted[name], abs=0.2 * width)


def test_interval_holds_the_threshold_and_is_that_of_the_cosine():
    found = advise(*clusters(), far=0.05)
    low, high = found.distance_interval
    assert low < found.distance < high
    assert found.cosine_interval == pytest.approx((1 - high**2 / 2, 1 - low**2 / 2))


def test_intervals_follow_the_number_of_classes():
    widths = [np.ptp(advise(*clusters(count), far=0.05).distance_interval) for count in (30, 480)]
    # Sixteen times the classes: at least a quarter of the width, and a sixteenth where all classes
    # are alike and only pairs of them differ.
    assert 4 < widths[0] / widths[1] < 20


def test_many_classes_are_drawn_in_groups(monkeypatch):
    embeddings, labels = clusters(200, seed=5)
    alone = advise(embeddings, labels, far=0.05)
    monkeypatch.setattr(groups, "GROUPS", 100)
    assert np.bincount(groups.group_of(200)).tolist() == [2] * 100
    grouped = advise(embeddings, labels, far=0.05)
    assert grouped.distance == alone.distance
    width = np.ptp(alone.distance_interval)
    assert grouped.distance_interval == pytest.approx(alone.distance_interval, abs=0.3 * width)


def test_pairs_between_groups_against_all_pairs():
    embeddings, labels = clusters(12)
    rows = prepare(embeddings, labels)
    of_class = np.arange(12) % 5
    distance, left, right = pairs(embeddings, labels)
    accepted, between = np.zeros((5, 5)), np.zeros((5, 5))
    for d, i, j in zip(distance, left, right, strict=True):
        if i != j:
            for one, other in ((i, j), (j, i)):
                between[of_class[one], of_class[other]] += 1
                accepted[of_class[one], of_class[other]] += d <= 0.9
    assert (groups.pairs_between(rows.sizes, of_class) == between).all()
    assert (groups.accepted_between(rows, of_class, 0.9) == accepted).all()


def test_crossing_by_hand():
    grid = np.array([0.0, 1.0, 2.0, 4.0])
    rates = np.array(
        [[0.0, 0.1, 0.3, 0.5], [0.3, 0.4, 0.5, 0.6], [0, 0, 0, 0.1], [0.0, 0.25, 0.1, 0.5]]
    )
    # Halfway between 1 and 2; before the first; beyond the last; and a dip does not cross again.
    assert _crossing(grid, rates, 0.2).tolist() == pytest.approx([1.5, 0.0, 4.0, 0.8])


def test_pairs_of_drawn_groups_by_hand():
    table = np.array([[2.0, 3.0], [3.0, 4.0]])
    # Once each: 2 + 4 + 3 + 3. The first twice: its inner pairs twice, across none.
    assert _pairs(np.array([[1.0, 1.0], [2.0, 0.0]]), table).tolist() == [12, 4]


def test_few_classes_have_no_interval():
    rates = rates_around(SMALL, LABELS, 0.2, None)
    assert np.isnan(list(intervals(rates, 0.2, None).values())).all()


def test_duplicates_and_perfect_classes():
    embeddings = np.repeat(np.eye(12), 3, axis=0)
    labels = np.repeat(np.arange(12), 3)
    # All pairs of different classes are equally far, so no distance accepts a few of them.
    with pytest.raises(
        UserError, match=r"from 0.01 to 0.1 are all reached at one distance, 1.4142"
    ):
        advise(embeddings, labels, far=0.01)
    found = advise(embeddings, labels, frr=0.05)
    assert (found.distance, found.rates["far"]["value"]) == (0, 0)
    assert found.rates["frr"]["value"] == 0
    assert found.missed == 0


def test_rates_below_one_pair():
    with pytest.raises(UserError, match=r"accept rate of 0\.03 .* 29 negative .* is 0\.0345"):
        advise(SMALL, LABELS, far=0.03)
    with pytest.raises(UserError, match=r"reject rate of 0\.1 .* 7 positive .* is 0\.143"):
        advise(SMALL, LABELS, frr=0.1)


def test_one_class_of_two_images_has_a_threshold():
    found = advise(SMALL, np.array([7, 7, 7, 1, 2, 3, 4, 5, 8]), far=0.2)
    assert [row.label for row in found.worst["frr"]] == [7]


@pytest.mark.parametrize("target", ["far", "frr"])
def test_interval_where_all_cosines_are_near_1(target):
    """The counts that are resampled are those of the rate, and so is the interval."""
    embeddings, labels = clusters()
    crowded = 1 + 1e-3 * np.concatenate([embeddings, -embeddings], axis=1)
    found = advise(crowded, labels, **{target: 0.05})
    rates = rates_around(crowded, labels, 0.05, None)
    total = rates.overall_far[rates.target] * rates.between.sum()
    assert rates.accepted.sum() == pytest.approx(total, abs=1e-6)
    distance, left, right = pairs(crowded, labels)
    assert found.distance < 0.01
    near = (distance <= found.distance) & (left != right)
    far = found.rates["far"]
    # Rows are rounded to 24 bits, which moves a pair or two of these across the threshold.
    assert far["value"] == pytest.approx(near.sum() / (left != right).sum(), rel=1e-2)
    assert far["interval"][0] < far["value"] < far["interval"][1]
    assert far["interval"][1] < 4 * far["value"]
    assert found.distance_interval[0] <= found.distance <= found.distance_interval[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either"),
        ({"far": 0.1, "frr": 0.1}, "give either"),
        ({"far": 0.0}, "--far is 0; give a rate between 0 and 1"),
        ({"frr": 1.0}, "--frr is 1; give a rate between 0 and 1"),
        ({"far": math.nan}, "--far is nan"),
    ],
)
def test_rates_that_make_no_sense(options, message):
    with pytest.raises(UserError, match=message):
        advise(SMALL, LABELS, **options)


@pytest.mark.parametrize("labels", [np.zeros(9, int), np.arange(9)])
def test_without_positives_or_negatives(labels):
    with pytest.raises(UserError, match="OPIS needs"):
        advise(SMALL, labels, far=0.1)


# --- names, text, page ---------------------------------------------------------------------------


def test_names_from_the_file_or_a_manifest(tmp_path):
    file, manifest = tmp_path / "e.npz", tmp_path / "m.csv"

    def names_of(manifest=None, **arrays):
        np.savez(file, **{"embeddings": SMALL, "labels": LABELS} | arrays)
        return known_classes(read_labelled(file), manifest)[0]

    assert names_of() == {}
    names = np.array([f"bird {label}" for label in LABELS])
    assert names_of(class_names=names)[9] == "bird 9"
    manifest.write_text("path,label,class_name\na.jpg,9,Finch\nb.jpg,4,Owl\n")
    assert names_of(manifest, class_names=names) == {9: "Finch"}
    assert names_of(class_names=names.astype("S"))[9] == "bird 9"
    with pytest.raises(UserError, match="class_names' holds Python objects, which are not opened"):
        names_of(class_names=names.astype(object))
    twice = np.where(np.arange(len(names)) == 1, "crow", names)
    with pytest.raises(UserError, match="label 7 is called both 'bird 7' and 'crow'"):
        names_of(class_names=twice)
    with pytest.raises(UserError, match=r"class_names has shape \(3,\) but labels \(9,\)"):
        names_of(class_names=names[:3])


def test_images_of_classes(tmp_path):
    file, manifest = tmp_path / "e.npz", tmp_path / "m.csv"
    texts = np.array([f"bird {label}" for label in LABELS])
    paths = np.array([f"{number}.png" for number in range(len(LABELS))])
    np.savez(file, embeddings=SMALL, labels=texts, paths=paths)
    source = read_labelled(file)
    # In the order of the alphabet: bird 5, 7, 8, 9.
    assert known_classes(source, None)[0] == {0: "bird 5", 1: "bird 7", 2: "bird 8", 3: "bird 9"}
    assert known_classes(source, None)[1][0] == ["6.png", "7.png"]
    # A manifest is matched by the texts, whatever its own numbers are.
    manifest.write_text("path,label,class_name\nx.png,1,bird 9\ny.png,2,bird 5\n")
    assert known_classes(source, manifest) == (
        {3: "bird 9", 0: "bird 5"},
        {3: ["x.png"], 0: ["y.png"]},
    )
    manifest.write_text("path,label,class_name\nx.png,1,fish\n")
    with pytest.raises(UserError, match="none of the embeddings' 4 classes"):
        known_classes(source, manifest)


def test_text_says_it_all():
    found = advise(SMALL, LABELS, far=0.2, names={9: "<Finch & co>"})
    shown = text(found)
    assert "One threshold for a false accept rate of 20 %" in shown
    assert "9 images of 4 classes" in shown
    # Rounded to the side where the rate still holds.
    assert f"accept if distance <= {math.floor(1e6 * found.distance) / 1e6:.6f}" in shown
    assert f"or if cosine >= {math.ceil(1e6 * found.cosine) / 1e6:.6f}" in shown
    assert "false accept rate, all pairs: 17.2 %" in shown
    assert "<Finch & co>" in shown
    assert "class 7" in shown
    assert "[" not in shown.partition("Brackets")[0]
    assert "[" in text(advise(*clusters(), far=0.05)).partition("Brackets")[0]


def test_small_distances_are_printed_with_their_digits():
    assert [distance(value) for value in (1.25, 0.5, 0.004294, 1.23456e-5, 0.0)] == [
        "1.250000",
        "0.500000",
        "0.004294",
        "0.00001235",
        "0.000000",
    ]
    assert [cosine(value) for value in (-0.5, 0.61, 1 - 9.219e-06, 1.0)] == [
        "-0.500000",
        "0.610000",
        "0.999990781",
        "1.000000",
    ]
    embeddings, labels = clusters()
    found = advise(1 + 1e-3 * np.concatenate([embeddings, -embeddings], axis=1), labels, far=0.05)
    for shown in (text(found), page(found, "e.npz")):
        printed = float(re.search(r"0\.9999\d+", shown)[0])
        assert 1 - printed == pytest.approx(found.distance**2 / 2, rel=1e-3)


class Cells(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.cells, self.open = [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        if tag in ("td", "th"):
            self.cells.append("")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_page_is_whole_and_escapes_names():
    found = advise(SMALL, LABELS, far=0.2, names={9: "<Finch & co>"})
    source = page(found, "<file>.npz")
    parsed = Cells(source)
    assert parsed.open == []
    assert "<Finch & co>" in parsed.cells
    assert f"{math.floor(1e6 * found.distance) / 1e6:.6f}" in parsed.cells
    assert "&lt;file&gt;.npz" in source
    assert "http" not in source
    assert "<script" not in source


# --- the command ---------------------------------------------------------------------------------


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "src/threshold.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_prints_and_writes(tmp_path):
    embeddings, labels = clusters()
    np.savez(tmp_path / "e.npz", embeddings=embeddings.astype(np.float16), labels=labels)
    arguments = ("--embeddings", tmp_path / "e.npz", "--far", 0.05, "--out", tmp_path / "out")
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    pictures = {f"threshold.{kind}" for kind in ("svg", "pdf", "png")}
    assert written == {"threshold.json", "threshold.html", "classes.csv"} | pictures
    found = json.loads((tmp_path / "out/threshold.json").read_text())
    floor = f"{math.floor(1e6 * found['distance']) / 1e6:.6f}"
    assert f"distance <= {floor}" in done.stdout
    assert found["rate"] == 0.05
    assert len(found["distance_interval"]) == 2
    assert set(found["worst"]["far"][0]) == {"label", "name", "images", "far", "frr"}
    assert len(found["provenance"]["embeddings_sha256"]) == 64
    assert floor in (tmp_path / "out/threshold.html").read_text()
    assert run(*arguments[:4]).stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--far", "2"), "--far is 2; give a rate"),
        (("--far", "0.1", "--names", "nothing.csv"), "nothing.csv does not exist"),
        ((), "one of the arguments --far --frr is required"),
        (("--far", "0.1", "--frr", "0.1"), "not allowed with argument"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(tmp_path, arguments, message):
    np.savez(tmp_path / "e.npz", embeddings=SMALL, labels=LABELS)
    done = run("--embeddings", tmp_path / "e.npz", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_not_one_pair_too_many_where_many_are_equally_far():
    """Twenty classes on a circle: distances between classes come in groups of twenty and more."""
    angle = np.radians(np.repeat(np.arange(20) * 18, 2))
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.repeat(np.arange(20), 2)
    distance, left, right = pairs(rows, labels)
    negative = np.sort(distance[left != right])
    for far in (0.11, 0.2, 0.3):
        found = advise(rows, labels, far=far)
        accepted = (negative <= found.distance).sum()
        assert accepted / len(negative) <= far
        assert found.rates["far"]["value"] == pytest.approx(accepted / len(negative), abs=1e-12)
        # The next group of equal distances would have been too many.
        following = negative[accepted]
        assert (negative <= following + 1e-9).mean() > far


def test_where_all_are_equally_far_no_pair_is_nearer():
    rows = prepare(np.eye(4), np.array([0, 0, 1, 1]))
    tiles = PositiveTiles(rows), AllTiles(rows, 2)
    assert far_limit(rows, 0.5, *tiles) == (0.0, math.sqrt(2))


def test_several_rates_and_other_embeddings(tmp_path, capsys):
    (rows, labels), (others, their) = clusters(), clusters(seed=1, spread=0.8)
    names = np.array([f"kind {label}" for label in labels])
    np.savez(tmp_path / "a.npz", embeddings=rows, labels=names)
    np.savez(tmp_path / "b.npz", embeddings=others, labels=np.array([f"kind {i}" for i in their]))
    words = ["--embeddings", "a.npz", "--far", "0.01", "0.05", "--apply", "b.npz", "--out", "out"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "src/threshold.py"), *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("target ")
    assert done.stdout.count("The same threshold on b.npz") == 2
    for rate in (0.01, 0.05):
        folder = tmp_path / f"out/far_{rate}"
        found = json.loads((folder / "threshold.json").read_text())
        distance, left, right = pairs(others, their)
        accepted = distance <= found["distance"]
        there = found["applied"]["rates"]
        assert there["far"]["value"] == pytest.approx(accepted[left != right].mean(), abs=1e-12)
        assert there["frr"]["value"] == pytest.approx(1 - accepted[left == right].mean(), abs=1e-12)
        assert found["applied"]["distance_interval"] is None
        own = advise(others, their, far=rate).distance
        assert found["applied"]["own_distance"] == own
        for name, one in (("classes", labels), ("applied", their)):
            with (folder / f"{name}.csv").open() as stream:
                table = list(csv.DictReader(stream))
            assert len(table) == len(np.unique(one))
            assert {row["name"] for row in table} == {f"kind {i}" for i in one}
            assert [int(row["images"]) for row in table] == np.bincount(
                [int(row["label"]) for row in table for _ in range(int(row["images"]))]
            ).tolist()


def test_images_of_the_worst_classes_are_in_the_picture(tmp_path):
    rows, labels = clusters(12)
    paths = [f"{number}.png" for number in range(len(labels))]
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 7), (20 * labels[number], 0, 0)).save(tmp_path / path)
    np.savez(tmp_path / "e.npz", embeddings=rows, labels=labels)
    lines = [f"{path},{label},kind {label}" for path, label in zip(paths, labels, strict=True)]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,class_name", *lines]))
    arguments = ("--embeddings", tmp_path / "e.npz", "--far", 0.05, "--out", tmp_path / "out")
    assert run(*arguments, "--names", tmp_path / "m.csv").returncode == 0
    found = json.loads((tmp_path / "out/threshold.json").read_text())
    drawn = (tmp_path / "out/threshold.svg").read_text()
    for row in found["worst"]["far"][:5]:
        assert row["name"] in drawn
    assert drawn.count("<image") >= 5 * 2
    (tmp_path / "0.png").write_text("no picture")
    label = found["worst"]["far"][0]["label"]
    (tmp_path / paths[int(np.flatnonzero(labels == label)[0])]).write_text("no picture")
    done = run(*arguments, "--names", tmp_path / "m.csv")
    assert done.returncode == 2
    assert "cannot be shown" in done.stderr


def test_json_of_few_classes_has_no_nan(tmp_path):
    found = advise(SMALL, LABELS, far=0.2).to_json()
    json.dumps(found, allow_nan=False)
    assert found["rates"]["far"]["interval"] is None
    assert advice.QUANTILES[0] == 0
