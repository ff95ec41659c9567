import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from tcmbench.miniatures import STYLES, make_miniature, photographs
from tcmbench.miniatures.render import CONTRAST, compose, frame, luminance
from tcmbench.miniatures.scans import choose_scans, members, scans
from tests.miniatures.readers import DATASETS, enlarged, opened, read_box

# --- the scans


def test_every_scan_belongs_to_one_split():
    train, test = members("train"), members("test")
    assert sorted([*train, *test]) == list(range(1797))
    labels = load_digits().target
    for digit in range(10):
        # Halves of every digit, the odd one for training.
        difference = np.sum(labels[train] == digit) - np.sum(labels[test] == digit)
        assert difference == np.sum(labels == digit) % 2


@pytest.mark.parametrize("split", ["train", "test"])
def test_scans_are_the_bundled_ones_scaled_to_one(split):
    images, digits = scans(split)
    bundled = load_digits()
    assert np.array_equal(images * 16, bundled.images[members(split)])
    assert np.array_equal(digits, bundled.target[members(split)])


@settings(deadline=None, max_examples=25)
@given(st.from_regex(r"[0-9]{1,4}", fullmatch=True), st.sampled_from(["train", "test"]), st.data())
def test_chosen_scans_spell_the_number_within_the_split(number, split, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    indices = choose_scans(number, split, rng)
    assert "".join(map(str, load_digits().target[indices])) == number
    assert set(indices) <= set(members(split))


@pytest.mark.parametrize("dataset", DATASETS)
def test_no_scan_is_in_training_and_test_images(dataset, monkeypatch):
    used = {}

    def recorded(number, split, rng):
        indices = choose_scans(number, split, rng)
        used.setdefault(number, []).extend(indices.tolist())
        return indices

    monkeypatch.setattr(photographs, "choose_scans", recorded)
    make_miniature(dataset)
    halves = opened(dataset).train, opened(dataset).test
    train, test = (
        {scan for class_id in half for scan in used[opened(dataset).numbers[class_id]]}
        for half in halves
    )
    assert train
    assert test
    assert not train & test


# --- the images


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_paper_has_an_ink_that_can_be_read_on_it(dataset):
    style = STYLES[dataset]
    for paper in style.papers:
        assert any(abs(luminance(ink) - luminance(paper)) >= CONTRAST for ink in style.inks)


def bright_pixels(image):
    """Pixels nearer to the ink (white) than to the paper (mid grey 100): above (100+255)/2."""
    return np.asarray(image.convert("L")) > 177


@pytest.mark.parametrize("dataset", DATASETS)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 3))
def test_digits_stay_in_the_centre_crop_and_clutter_is_never_ink(dataset, seed, count):
    style = replace(
        STYLES[dataset], papers=((100, 100, 100),), inks=((255, 255, 255),), shade=0, noise=0
    )
    rng = np.random.default_rng(seed)
    digits = scans("train")[0][rng.integers(800, size=count)]
    ink = bright_pixels(compose(list(digits), style, rng))
    # Resize the short side to 36 and crop 32, or to 256 and crop 224: seven eighths remain.
    margin = min(style.height, style.width) * (1 - 7 / 8) / 2
    x, y = (style.width - style.height) / 2, (style.height - style.width) / 2
    left, top = round(max(x, 0) + margin), round(max(y, 0) + margin)
    inside = ink[top : style.height - top, left : style.width - left]
    # The tip of a slanted stroke may reach over the edge; a digit may not.
    assert ink.sum() - inside.sum() <= 0.03 * ink.sum()
    # A digit's strokes cover a good part of its box and never all of it.
    box_left, box_top, box_right, box_bottom = frame(style)
    assert 0.02 < ink.sum() / ((box_right - box_left) * (box_bottom - box_top)) < 0.6


@pytest.mark.parametrize("dataset", DATASETS)
def test_clutter_is_at_most_a_third_as_strong_as_ink(dataset):
    style = replace(STYLES[dataset], shade=0, noise=0, grey=0, clutter=12)
    for paper in style.papers:
        plain = replace(style, papers=(paper,))
        image = compose([np.zeros((8, 8))], plain, np.random.default_rng(0))
        distance = np.asarray(image) @ [0.299, 0.587, 0.114] - luminance(paper)
        assert np.abs(distance).max() <= CONTRAST / 3 + 1
        assert np.abs(distance).max() > 5


def test_scans_stand_from_left_to_right():
    style = replace(STYLES["cub"], papers=((0, 0, 0),), inks=((255, 255, 255),), clutter=0)
    full, empty = np.ones((8, 8)), np.zeros((8, 8))
    ink = bright_pixels(compose([full, empty], style, np.random.default_rng(0)))
    middle = style.width // 2
    assert ink[:, :middle].sum() > 200
    assert ink[:, middle + 3 :].sum() == 0


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_nearest_neighbour_reads_the_digits(dataset):
    """Test scans, drawn with all noise and clutter, are read by comparison to plain scans."""
    style = replace(STYLES[dataset], papers=((90, 90, 90),), inks=((255, 255, 255),))
    rng = np.random.default_rng(3)
    known, digits = scans("train")
    book = np.stack([enlarged(scan) for scan in known])
    drawn, truth = (part[:: len(part) // 150] for part in scans("test"))
    right = 0
    for scan, digit in zip(drawn, truth, strict=True):
        grey = np.asarray(compose([scan], style, rng).convert("L")).astype(float)
        found = read_box(((grey - 90) / 165).clip(0, 1))
        right += digits[np.argmin(((book - found) ** 2).sum(1))] == digit
    assert right / len(truth) > 0.8  # chance is 0.1


@pytest.mark.parametrize("dataset", DATASETS)
def test_sizes_modes_and_format_of_the_images(dataset):
    style = STYLES[dataset]
    modes = Counter()
    for jpeg in opened(dataset).images():
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.format == "JPEG"
            assert image.size == (style.width, style.height)
            modes[image.mode] += 1
    grey = modes.pop("L", 0)
    assert set(modes) == {"RGB"}
    assert (grey > 0) == (dataset in ("cub", "sop"))
    assert grey < 0.1 * modes["RGB"]


# --- the classes


@pytest.mark.parametrize("dataset", DATASETS)
def test_classes_are_different_numbers_with_all_digits_in_both_splits(dataset):
    content = opened(dataset)
    assert not set(content.train) & set(content.test)
    assert len(set(content.numbers.values())) == len(content.numbers)
    for half in (content.train, content.test):
        assert {digit for each in half for digit in content.numbers[each]} == set("0123456789")


@pytest.mark.parametrize(
    ("dataset", "digits", "train", "test", "smallest", "largest", "low", "high"),
    [
        ("cub", {2}, 50, 50, 11, 13, 11.5, 12.5),
        ("cars196", {2}, 49, 49, 9, 17, 12, 14),
        ("sop", {3}, 130, 130, 2, 8, 4.5, 5.5),
        ("inat2018", {2, 3}, 64, 36, 4, 40, 9, 12),
    ],
)
def test_class_sizes(dataset, digits, train, test, smallest, largest, low, high):
    content = opened(dataset)
    assert {len(number) for number in content.numbers.values()} == digits
    assert (len(content.train), len(content.test)) == (train, test)
    sizes = content.sizes()
    assert (min(sizes), max(sizes)) == (smallest, largest)
    assert low < np.mean(sizes) < high
    assert 1000 <= sum(sizes) <= 1400


def test_inat_is_long_tailed():
    sizes = np.sort(opened("inat2018").sizes())[::-1]
    # The sum of 440/(10+r): ranks 1-20 have 440 (H30 - H10) = 468, of 440 (H110 - H10) = 1035.
    assert sizes[:20].sum() / sizes.sum() == pytest.approx(468 / 1035, abs=0.01)
