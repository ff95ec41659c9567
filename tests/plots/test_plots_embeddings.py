"""Figures of embeddings: densities on the circle, and neighbours inside one threshold."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tcmbench.common.errors import UserError
from tcmbench.plots import angles, neighbours, search, style, toy
from tcmbench.plots.curves import Curves
from tcmbench.plots.embedded import read_embedded
from tcmbench.tables.runs import read_runs
from tests.tables.run_folders import CUB, write_pair, write_run, write_utility


def write_embeddings(folder, rows, labels, paths=None):
    paths = [f"images/{row}.png" for row in range(len(rows))] if paths is None else paths
    np.savez(
        folder / "embeddings.npz",
        embeddings=np.asarray(rows, dtype=np.float32),
        labels=np.asarray(labels),
        paths=np.array(paths),
    )
    return folder


def embedded(tmp_path, rows, labels, name=f"{CUB}/base/seed0", **metrics):
    folder = write_embeddings(write_run(tmp_path, name, **metrics), rows, labels)
    return read_embedded(read_runs([folder])[0])


def at(degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


# --- angles -------------------------------------------------------------------------------------


def test_density_of_one_angle_is_the_kernel():
    for degrees in (0, 100, 359.9):
        found = angles.density([np.radians(degrees)], bandwidth=0.1)
        away = (angles.GRID - np.radians(degrees) + np.pi) % (2 * np.pi) - np.pi
        np.testing.assert_allclose(found, stats.norm.pdf(away, scale=0.1), atol=1e-9)


def test_density_is_the_mean_of_wrapped_kernels():
    generator = np.random.default_rng(0)
    drawn = generator.normal(6.1, 0.5, 30)
    found = angles.density(drawn)
    wanted = np.zeros(angles.POINTS)
    for angle in drawn:
        for turn in range(-2, 3):
            away = angles.GRID - angle + 2 * np.pi * turn
            wanted += stats.norm.pdf(away, scale=np.radians(2)) / 30
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert found.sum() * 2 * np.pi / angles.POINTS == pytest.approx(1)


@pytest.mark.parametrize("apart", [0, 2, 4, 10, 180])
def test_overlap_of_two_kernels_by_formula(apart):
    # Two normal densities of one width cross half way: 2 Φ(−δ / 2σ), here with σ = 2°.
    one, other = (angles.density([np.radians(angle)]) for angle in (359, 359 + apart))
    assert angles.overlap(one, other) == pytest.approx(2 * stats.norm.cdf(-apart / 4), abs=2e-4)


def test_overlap_by_hand():
    # Half of each class's images lie at the same place, the other halves far from everything.
    one = angles.density(np.radians([0, 0, 90, 90]))
    other = angles.density(np.radians([90, 90, 200, 200]))
    assert angles.overlap(one, other) == pytest.approx(0.5)


def test_mean_direction_goes_round():
    assert np.degrees(angles.mean_direction(np.radians([350, 20]))) == pytest.approx(5)
    assert np.degrees(angles.mean_direction(np.radians([300, 310]))) == pytest.approx(305)


# --- toy ----------------------------------------------------------------------------------------


def test_neighbours_on_the_circle_are_paired_round(tmp_path):
    # By angle: 3 at 10°, 1 at 100°, 2 at 220°, 0 at 350°.
    degrees = [350, 350, 100, 100, 220, 220, 10, 10]
    one = embedded(tmp_path, at(degrees), [0, 0, 1, 1, 2, 2, 3, 3])
    panel = toy.arcs(one)
    assert [arc.label for arc in panel] == [3, 1, 2, 0]
    assert [np.degrees(arc.centre) for arc in panel] == pytest.approx([10, 100, 220, 350], abs=2e-4)
    found = toy.overlaps(panel)
    # 0 and 3 are 20° apart, the nearest two.
    assert found[0][1:] == (0, 3)
    assert {entry[1:] for entry in found} == {(0, 3), (0, 2), (1, 2), (1, 3)}
    assert [entry[0] for entry in found[1:]] == pytest.approx([0, 0, 0], abs=1e-9)
    assert found[0][0] == pytest.approx(2 * stats.norm.cdf(-20 / 4), abs=1e-5)


def test_two_classes_are_one_pair(tmp_path):
    panel = toy.arcs(embedded(tmp_path, at([0, 0, 2, 2]), [4, 4, 9, 9]))
    (found,) = toy.overlaps(panel)
    assert found[1:] == (4, 9)
    # 2 Φ(−0.5).
    assert found[0] == pytest.approx(0.6171, abs=1e-3)
    assert toy.words(panel) == (
        "overlap of neighbouring classes: mean 0.617,\nlargest 0.617 (classes 4 and 9)"
    )


def toy_pair(tmp_path, spread=(20.0, 5.0), classes=10):
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 30)
    found = []
    for variant, width in zip(("base", "tcm"), spread, strict=True):
        degrees = 360 / classes * labels + generator.normal(0, width, len(labels))
        found.append(embedded(tmp_path, at(degrees), labels, f"digits/mlp/arcface/{variant}/seed0"))
    return found


def test_toy_has_an_arrow_and_a_band_for_each_class(tmp_path):
    figure = toy.draw_toy(*toy_pair(tmp_path))
    base, tcm = figure.axes
    assert (base.get_title(), tcm.get_title()) == ("base loss", "base loss + TCM")
    for axes in (base, tcm):
        arrows = [text for text in axes.texts if not text.get_text()]
        assert len(arrows) == 10
        angle = sorted(np.degrees(np.arctan2(*text.xy[::-1])) % 360 for text in arrows)
        off = (np.array(angle)[:, None] - 36 * np.arange(11)[None] + 180) % 360 - 180
        assert np.abs(off).min(axis=1).max() < 15
        assert {text.get_text() for text in axes.texts} == {"", *map(str, range(10))}
        assert sum(len(ticks.get_segments()) for ticks in axes.collections) == 300
        bands = [patch.get_xy() for patch in axes.patches if hasattr(patch, "get_xy")]
        assert len(bands) >= 10
        # Outside the circle, and nowhere above the common scale.
        radii = np.linalg.norm(np.concatenate(bands), axis=1)
        assert radii.min() > 1 - 1e-9
        assert radii.max() < 1 + toy.TALLEST + 1e-9
    tops = [
        max(np.linalg.norm(patch.get_xy(), axis=1).max() for patch in axes.patches[:-1])
        for axes in (base, tcm)
    ]
    # One scale: compact classes of the right panel are the higher ones.
    assert tops[1] == pytest.approx(1 + toy.TALLEST, abs=1e-3)
    assert tops[0] < 1 + 0.6 * toy.TALLEST
    overlap = [float(axes.get_xlabel().split("mean ")[1].split(",")[0]) for axes in (base, tcm)]
    assert overlap[0] > 0.2 > 0.01 > overlap[1]


def test_strays_have_bands_of_their_own(tmp_path):
    # Class 0 lies at 0° and 120°, class 1 at 240°.
    degrees = [0, 1, 2, 120, 121, 240, 241, 242]
    one = embedded(tmp_path, at(degrees), [0, 0, 0, 0, 0, 1, 1, 1])
    for axes in toy.draw_toy(one, one).axes:
        assert len(axes.patches) == 3 + 1
        for line in axes.lines:
            points = line.get_xydata()
            # No line cuts through the circle.
            assert np.linalg.norm((points[1:] + points[:-1]) / 2, axis=1).min() > 0.999
        for patch in axes.patches[:-1]:
            points = patch.get_xy()
            assert np.linalg.norm((points[1:] + points[:-1]) / 2, axis=1).min() > 0.99


def test_toy_needs_two_dimensions_and_classes(tmp_path):
    flat = embedded(tmp_path, np.eye(3), [0, 1, 2])
    with pytest.raises(UserError, match="embeddings of 3 dimensions; the circle needs 2"):
        toy.draw_toy(flat, flat)
    lone = embedded(tmp_path / "b", at([0, 5]), [0, 0])
    with pytest.raises(UserError, match="one class alone"):
        toy.draw_toy(lone, lone)


# --- embeddings ---------------------------------------------------------------------------------


def test_rows_are_of_unit_norm(tmp_path):
    one = embedded(tmp_path, [[3, 4], [0, 2]], [0, 1])
    np.testing.assert_allclose(one.unit(), [[0.6, 0.8], [0, 1]])
    assert one.paths.tolist() == ["images/0.png", "images/1.png"]


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        (None, "does not exist; make it with src/embed.py"),
        ({"embeddings": np.eye(2), "labels": [0, 1]}, "is not a file of embeddings"),
        ({"embeddings": np.eye(2), "labels": [0], "paths": ["a", "b"]}, "do not fit together"),
        ({"embeddings": np.zeros((0, 2)), "labels": [], "paths": []}, "do not fit together"),
        ({"embeddings": np.zeros((1, 2)), "labels": [0], "paths": ["a"]}, "no direction"),
        ({"embeddings": [[np.nan, 1]], "labels": [0], "paths": ["a"]}, "no direction"),
        (b"PK nothing", "is not a file of embeddings"),
    ],
    ids=["absent", "no paths", "lengths", "empty", "zero", "nan", "broken"],
)
def test_embeddings_that_cannot_be_drawn(tmp_path, arrays, problem):
    folder = write_run(tmp_path, f"{CUB}/base/seed0")
    if isinstance(arrays, bytes):
        (folder / "embeddings.npz").write_bytes(arrays)
    elif arrays is not None:
        np.savez(folder / "embeddings.npz", **{k: np.asarray(v) for k, v in arrays.items()})
    with pytest.raises(UserError, match=problem):
        read_embedded(read_runs([folder])[0])


# --- neighbours ---------------------------------------------------------------------------------


def test_search_by_hand(tmp_path):
    # Chords: 2 sin(θ/2). From 0°: 10° is 0.1743, 20° 0.3473, 30° 0.5176, 40° 0.6840.
    one = embedded(tmp_path, at([0, 40, -20, 10, 30, 20]), [7, 7, 7, 8, 8, 9])
    found = search.search(one, 0, 0.5177)
    # The two at 20° are equally far but for rounding; rows 3 and 4 are certain.
    assert found.rows.tolist()[0] == 3
    assert set(found.rows.tolist()[1:3]) == {2, 5}
    assert found.rows.tolist()[3] == 4
    assert dict(zip(found.rows.tolist(), found.right.tolist(), strict=True)) == {
        3: False,
        2: True,
        5: False,
        4: False,
    }
    assert found.of_class == 2
    assert len(search.search(one, 0, 0.5175).rows) == 3
    assert len(search.search(one, 0, 0.1).rows) == 0


def test_duplicates_are_neighbours_and_the_query_is_not(tmp_path):
    one = embedded(tmp_path, at([0, 0, 0, 90]), [1, 1, 2, 1])
    found = search.search(one, 1, 0.0)
    assert found.rows.tolist() == [0, 2]
    assert found.right.tolist() == [True, False]


def test_many_rows_are_searched_without_a_copy_of_them_all(tmp_path):
    rows = np.random.default_rng(3).normal(size=(50_000, 32)).astype(np.float32)
    one = embedded(tmp_path, rows, np.zeros(len(rows)))
    tracemalloc.start()
    near, distances = one.within(20_000, 1.2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows.nbytes
    unit = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    wanted = np.linalg.norm(unit - unit[20_000], axis=1)
    assert near.tolist() == np.flatnonzero(wanted <= 1.2).tolist()
    assert 1_000 < len(near) < 40_000
    np.testing.assert_allclose(distances, wanted[near], atol=1e-12)


def test_no_row_at_the_threshold_is_lost_to_single_precision(tmp_path):
    """Long rows of one large common part, where rounding in float32 is worst."""
    random = np.random.default_rng(4)
    rows = (30 + random.normal(size=(300, 2_048))).astype(np.float32)
    one = embedded(tmp_path, rows, np.zeros(len(rows)))
    unit = rows.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = np.linalg.norm(unit - unit[0], axis=1)
    for threshold in np.sort(distances)[[0, 1, 150, 299]]:
        near, _ = one.within(0, float(threshold) + 1e-12)
        assert near.tolist() == np.flatnonzero(distances <= threshold + 1e-12).tolist()


def test_search_is_faiss_range_search(tmp_path):
    faiss = pytest.importorskip("faiss")
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 10)
    rows = generator.normal(size=(40, 32))[labels] + generator.normal(size=(400, 32))
    one = embedded(tmp_path, rows, labels)
    index = faiss.IndexFlatL2(32)
    unit = one.unit().astype(np.float32)
    index.add(unit)
    threshold = 0.95
    limits, _, neighbours_found = index.range_search(unit, threshold**2)
    total = 0
    for query in range(0, 400, 7):
        found = search.search(one, query, threshold)
        wanted = set(neighbours_found[limits[query] : limits[query + 1]].tolist()) - {query}
        assert set(found.rows.tolist()) == wanted
        distances = np.linalg.norm(one.unit()[found.rows] - one.unit()[query], axis=1)
        assert (np.diff(distances) >= 0).all()
        assert (found.right == (labels[found.rows] == labels[query])).all()
        total += len(wanted)
    assert total > 100


def picked(own, quantiles=search.QUANTILES):
    """Classes picked where the utility of class 100 + i is greatest at threshold number own[i]."""
    thresholds = np.linspace(0.8, 1.0, 21)
    utility = np.full((len(own), 21), 0.1)
    utility[np.arange(len(own)), own] = 0.9
    classes = 100 + np.arange(len(own))
    return search.picked_classes(Curves(None, thresholds, utility), classes, quantiles)


def test_classes_are_picked_by_rank():
    # Ranked by threshold: 103, 101, 104, 100, 102.
    own = [12, 3, 20, 0, 7]
    assert picked(own, (0.0, 0.5, 1.0)) == [103, 104, 102]
    assert picked(own, (0.25, 0.75)) == [101, 100]


def test_equal_thresholds_go_by_label_and_each_class_comes_once():
    assert picked([5] * 21) == [101, 105, 110, 115, 119]
    assert picked([5, 5]) == [100, 101]
    assert picked([5]) == [100]


def test_the_first_of_equal_maxima_is_the_classs_own():
    curves = Curves(None, np.array([0.8, 0.9, 1.0]), np.array([[0.2, 0.9, 0.9], [0.5, 0.7, 0.8]]))
    assert search.picked_classes(curves, np.array([4, 2]), (0.0, 1.0)) == [4, 2]


def write_neighbours(tmp_path, classes=6, size=(20, 10)):
    """Two runs on the same images; a picture's grey level is ten times its class."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, 10 + classes), 4)
    folders = write_pair(tmp_path, CUB, base={"d_min": 0.9}, tcm={"d_min": 0.5})
    for folder, width in zip(folders, (0.5, 0.1), strict=True):
        centres = np.random.default_rng(1).normal(size=(classes, 6))
        rows = centres[labels - 10] + width * generator.normal(size=(len(labels), 6))
        write_embeddings(folder, rows, labels)
        thresholds = np.linspace(0.8, 1, 11)
        utility = np.exp(-((thresholds - generator.uniform(0.8, 1, (classes, 1))) ** 2))
        write_utility(folder, thresholds, utility)
    (tmp_path / "data/images").mkdir(parents=True)
    for row, label in enumerate(labels):
        Image.new("L", size, int(10 * (label - 9))).save(tmp_path / f"data/images/{row}.png")
    return folders


def test_neighbours_are_framed_by_class(tmp_path):
    pair = read_runs(write_neighbours(tmp_path))
    found = neighbours.read_neighbours(*pair)
    first = found.rows[0].label
    figure = neighbours.draw_neighbours(found, tmp_path / "data", {first: "007.Blue_Jay"})
    assert len(found.rows) == 5
    names = [axes.get_title() for axes in figure.subfigs[0].axes]
    assert names == ["Blue Jay", *(f"class {row.label}" for row in found.rows[1:])]
    one = found.embedded
    left_out = 0
    panels = [axes for block in figure.subfigs for axes in block.axes]
    assert len(panels) == 5 * (1 + 2 * neighbours.SHOWN)
    for number, row in enumerate(found.rows):
        # The first image of its class, and its grey level.
        query = row.found[0].query
        assert query == 4 * (row.label - 10)
        drawn = figure.subfigs[0].axes[number].images[0].get_array()
        assert np.asarray(drawn).shape == (neighbours.PIXELS, neighbours.PIXELS, 3)
        assert (np.asarray(drawn) == 10 * (row.label - 9)).all()
        for side in (0, 1):
            inside = row.found[side]
            block = figure.subfigs[side + 1].axes[5 * number : 5 * number + 5]
            threshold = (0.9, 0.5)[side]
            distances = np.linalg.norm(one[side].unit() - one[side].unit()[query], axis=1)
            assert len(inside.rows) == (distances <= threshold).sum() - 1
            shown = [axes for axes in block if axes.images]
            assert len(shown) == min(5, len(inside.rows))
            for axes, neighbour in zip(shown, inside.rows, strict=False):
                right = one[side].labels[neighbour] == row.label
                (mark,) = (text.get_text() for text in axes.texts if "right" not in text.get_text())
                assert mark == ("✓" if right else "✗")
                (frame,) = axes.patches
                assert (frame.get_linestyle() in ("-", "solid")) == right
            right = int(inside.right.sum())
            wanted = f"{right} of 3 right inside, {len(inside.rows) - right} wrong"
            hidden = sum(not same for same in inside.right[neighbours.SHOWN :])
            wanted += f", {hidden} of these not shown" if hidden else ""
            assert wanted in [text.get_text() for text in block[0].texts]
            left_out += hidden
    assert left_out > 0
    headings = [block.get_suptitle() for block in figure.subfigs]
    assert headings[0] == "query"
    assert headings[1] == "base loss: nearest images at a distance of at most 0.900"
    assert headings[2] == "base loss + TCM: nearest images at a distance of at most 0.500"
    assert figure.get_suptitle() == "CUB-200-2011, ResNet-50 · Smooth-AP (seed 0)"


def test_neighbours_of_different_images(tmp_path):
    folders = write_neighbours(tmp_path)
    write_embeddings(folders[1], np.eye(3), [10, 10, 11])
    with pytest.raises(UserError, match="embed different images"):
        neighbours.read_neighbours(*read_runs(folders))


@pytest.mark.parametrize("content", [None, b"no image"])
def test_an_image_that_cannot_be_shown(tmp_path, content):
    path = tmp_path / "1.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"1\.png cannot be shown .*; check --images"):
        neighbours.read_image(path)


def test_images_are_cut_to_their_middle(tmp_path):
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    wide.save(tmp_path / "wide.png")
    shown = neighbours.read_image(tmp_path / "wide.png")
    assert (shown[:, 5:-5] == (0, 0, 255)).all()


def test_files_are_equal_for_equal_input(tmp_path):
    pair = read_runs(write_neighbours(tmp_path))
    for out in ("one", "two"):
        found = neighbours.read_neighbours(*pair)
        figure = neighbours.draw_neighbours(found, tmp_path / "data")
        style.save(figure, tmp_path / out, "neighbours")
        style.save(toy.draw_toy(*toy_pair(tmp_path / out)), tmp_path / out, "toy")
    files = sorted(path for path in (tmp_path / "one").iterdir() if path.is_file())
    assert len(files) == 6
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
