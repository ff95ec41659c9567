"""The float32 pass, taken by force on small sets, against brute force and the float64 passes."""

import doctest
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tcmbench.metrics.evaluation as module
from tcmbench.common.errors import UserError
from tcmbench.metrics import evaluate_all_pairs, opis, recall_at_k, scoring
from tcmbench.metrics.engine import brackets, counting, neighbours, rounding
from tcmbench.metrics.engine.brackets import Bins
from tcmbench.metrics.engine.inputs import prepare
from tcmbench.metrics.engine.numba_engine import NumbaCounter
from tcmbench.metrics.engine.plan import Options
from tcmbench.metrics.engine.strips import Cutter
from tcmbench.metrics.engine.sweep import sweep
from tcmbench.metrics.engine.torch_engine import TorchCounter
from tcmbench.metrics.scoring import Scoring
from tests.metrics.references import (
    clustered,
    evaluation_reference,
    opis_reference,
    recall_reference,
)
from tests.paths import SRC

SWITCHES = hasattr(torch.backends.cuda.matmul, "fp32_precision")
KS = (1, 2, 4, 8, 10, 16, 100, 1000)
SEEDS = st.integers(0, 2**31)
SCORES = ("opis", "epsilon_opis", "d_min", "d_max")


@pytest.fixture(params=["numba", "torch"])
def engine(request, monkeypatch):
    monkeypatch.setattr(counting, "_engine", lambda rows: request.param)


def mixed(seed, count=400, width=32, classes=23):
    """Clustered rows, and at the end some images alone in their class."""
    embeddings, labels = clustered(seed, count, width, classes, spread=0.7)
    labels[count - count // 20 :] = 1000 + np.arange(count // 20)
    return embeddings, labels


def assert_near(result, expected, opis=1e-5):
    for name in ("d_min", "d_max"):
        assert getattr(result, name) == pytest.approx(expected[name], abs=1e-6), name
    for name in ("opis", "epsilon_opis"):
        assert getattr(result, name) == pytest.approx(expected[name], rel=opis, abs=1e-12), name


def assert_as_exact(embeddings, labels, **options):
    """Whatever path it found: what all float64 passes give. Returns whether one pass was enough."""
    found = evaluate_all_pairs(embeddings, labels, KS, exact=False, **options)
    exact = evaluate_all_pairs(embeddings, labels, KS, exact=True, **options)
    assert found.recall == exact.recall
    assert_near(found.consistency, {n: getattr(exact.consistency, n) for n in SCORES})
    np.testing.assert_array_equal(found.consistency.classes, exact.consistency.classes)
    return found.one_pass


@pytest.mark.parametrize("block_size", [37, 99, 100, 101, 399, 400, 401, None])
def test_agrees_with_brute_force(engine, block_size):
    embeddings, labels = mixed(1)
    found = evaluate_all_pairs(embeddings, labels, KS, block_size=block_size, exact=False)
    expected = opis_reference(embeddings, labels)
    assert found.one_pass
    assert_near(found.consistency, expected)
    np.testing.assert_allclose(found.consistency.thresholds, expected["thresholds"], atol=1e-6)
    np.testing.assert_allclose(found.consistency.specificity, expected["specificity"], atol=3e-4)
    assert found.recall == {k: recall_reference(embeddings, labels, k) for k in KS}


def test_agrees_with_brute_force_on_more_images(engine):
    embeddings, labels = mixed(2, count=3000, width=64, classes=40)
    found = evaluate_all_pairs(embeddings, labels, KS, exact=False)
    expected = evaluation_reference(embeddings, labels, KS)
    assert found.one_pass
    assert expected["opis"] > 0.001
    assert 0.2 < expected["recall"][1] < 0.99
    assert_near(found.consistency, expected, opis=2e-6)
    assert found.recall == expected["recall"]


def test_rates_are_exact_counts_at_the_thresholds_given_back(engine):
    embeddings, labels = mixed(3)
    result = opis(embeddings, labels, exact=False)
    x = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    d = np.sqrt(2 - 2 * np.clip(x @ x.T, -1, 1))
    i, j = np.triu_indices(len(labels), k=1)
    same = labels[i] == labels[j]
    for at in (0, 50, 99):
        accepted = d[i, j] <= result.thresholds[at]
        assert result.frr[at] == pytest.approx(1 - accepted[same].mean(), abs=1e-12)
        assert result.far[at] == pytest.approx(accepted[~same].mean(), abs=2e-5)
        for name, sensitivity in zip(result.classes, result.sensitivity[:, at], strict=True):
            own = same & (labels[i] == name)
            assert sensitivity == pytest.approx(accepted[own].mean(), abs=1e-12)


@pytest.mark.parametrize("options", [{"beta": 2.0}, {"epsilon": 0.4}, {"num_thresholds": 2}])
def test_options_agree_with_brute_force(engine, options):
    embeddings, labels = mixed(4, count=200)
    assert_near(opis(embeddings, labels, exact=False, **options), opis_reference(
        embeddings, labels, **options
    ))  # fmt: skip


def test_a_range_by_false_reject_rates_takes_one_pass(engine):
    embeddings, labels = mixed(5, count=300)
    found = evaluate_all_pairs(embeddings, labels, (), frr_range=(0.05, 0.4), exact=False)
    assert found.recall == {}
    assert_near(found.consistency, opis_reference(embeddings, labels, frr=(0.05, 0.4)))
    assert assert_as_exact(*mixed(5, count=2500), frr_range=(0.05, 0.4))


def corners(width):
    return np.random.default_rng(0).choice([-1.0, 1.0], size=(300, width))


ADVERSARIAL = {
    "all equal": (np.ones((60, 5)), np.arange(60) % 4),
    "all orthogonal": (np.eye(90), np.arange(90) % 30),
    "few distances, all on a lattice": (corners(4), np.arange(300) % 7),
    "distances on a finer lattice": (corners(64), np.arange(300) % 7),
    "rows three times over": tuple(np.concatenate([part] * 3) for part in mixed(6, count=120)),
    "one class of half of the data": (mixed(7)[0], np.where(np.arange(400) % 2, 0, mixed(7)[1])),
    "classes of one and two": (mixed(8)[0], np.r_[np.arange(300), np.arange(100)]),
    "one pair far closer": (np.r_[mixed(9)[0], mixed(9)[0][:1] + 1e-9], np.r_[mixed(9)[1], 7]),
    "a line, only tiny distances": (np.c_[np.ones(300), np.arange(300) * 1e-6], np.arange(300) % 9),
    "two clumps": (
        np.eye(2).repeat(150, axis=0) + 1e-3 * np.random.default_rng(1).normal(size=(300, 2)),
        np.arange(300) % 11,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_sets_agree_with_brute_force(engine, name):
    embeddings, labels = ADVERSARIAL[name]
    if name in ("all equal", "all orthogonal"):
        with pytest.raises(UserError, match="are all reached at one distance"):
            evaluate_all_pairs(embeddings, labels, (1, 2, 10), block_size=64, exact=False)
        recall = recall_at_k(embeddings, labels, (1, 2, 10), block_size=64, exact=False)
        assert recall == {k: recall_reference(embeddings, labels, k) for k in (1, 2, 10)}
        return
    found = evaluate_all_pairs(embeddings, labels, (1, 2, 10), block_size=64, exact=False)
    if name in ("a line, only tiny distances", "two clumps"):
        # Distances near the rounding of rows to 2^-24: right to 1e-6 on any path, but their order
        # is that of the rounded rows, which the float64 passes compare.
        exact = evaluate_all_pairs(embeddings, labels, (1, 2, 10), exact=True)
        assert not found.one_pass
        assert_near(found.consistency, {key: getattr(exact.consistency, key) for key in SCORES})
        assert found.recall == exact.recall
    else:
        assert_near(found.consistency, opis_reference(embeddings, labels))
        assert found.recall == {k: recall_reference(embeddings, labels, k) for k in (1, 2, 10)}


def test_thousands_of_classes_of_one_and_two_agree_with_brute_force(engine):
    embeddings = mixed(18, 3000)[0]
    labels = np.random.default_rng(18).permutation(np.r_[np.arange(2250), np.arange(750)])
    found = evaluate_all_pairs(embeddings, labels, KS, exact=False)
    expected = evaluation_reference(embeddings, labels, KS)
    assert found.one_pass
    assert found.consistency.num_excluded_classes == 1500
    assert_near(found.consistency, expected)
    assert found.recall == expected["recall"]


def test_thresholds_on_similarities_are_left_to_the_exact_path(engine):
    # Half of all negative pairs are at one distance, which is both ends of the range.
    calibration = Scoring((0.01, 0.1), 1.0, 0.1, 101, None).calibration()
    rows = prepare(np.eye(200), np.arange(200) % 50)
    found = sweep(rows, calibration, (1,), Options(exact=False))
    assert not found.one_pass
    assert set(found.rates.thresholds) == {2**0.5}


def test_a_crowd_at_an_inner_threshold_is_left_to_the_exact_path(engine):
    # An own class whose every distance to 40 others is one number, inside the calibration range.
    embeddings, labels = mixed(10, count=500, width=24)
    d = opis(embeddings, labels, num_thresholds=3).thresholds[1]
    wide = np.zeros((620, 26))
    wide[:500, :24] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    wide[500:560, 24] = 1
    wide[560:, 24:] = [1 - d**2 / 2, np.sqrt(1 - (1 - d**2 / 2) ** 2)]
    names = np.r_[labels, np.full(60, 90), np.full(60, 91)]
    assert_as_exact(wide, names)


@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_that_float32_cannot_tell_apart_are_ranked_exactly(engine, monkeypatch, k):
    # A right and a wrong neighbour of each query, nearer by turns, by less than float32 resolves.
    draw = np.random.default_rng(k)
    queries = draw.normal(size=(80, 16))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    side = np.roll(queries, 1, axis=0)
    tilt = 0.3 + np.where(np.arange(80) % 2, 1e-7, -1e-7)
    embeddings = np.r_[queries, queries + 0.3 * side, queries + tilt[:, None] * side]
    labels = np.r_[np.arange(80), np.arange(80), np.arange(80) + 1000]
    counted = []
    exactly = neighbours._count_exactly

    def spy(rows, best, limits, some, side):
        counted.append(len(some))
        return exactly(rows, best, limits, some, side)

    monkeypatch.setattr(neighbours, "_count_exactly", spy)
    found = recall_at_k(embeddings, labels, (k,), exact=False)
    assert found == {k: recall_reference(embeddings, labels, k)}
    assert found == recall_at_k(embeddings, labels, (k,), exact=True)
    assert (sum(counted) >= 60) == (k == 1)


def test_an_end_outside_the_fine_ranges_is_found_exactly(monkeypatch, engine):
    embeddings, labels = mixed(11)
    monkeypatch.setattr(
        brackets, "_sampled_negatives", lambda rows: np.linspace(0.9, 0.95, 1000, dtype=np.float32)
    )
    assert not assert_as_exact(embeddings, labels)


def test_products_that_are_too_rough_for_the_range_are_found_out(monkeypatch, engine):
    # As a device would multiply that rounds float32 factors to fewer digits without being asked.
    embeddings, labels = mixed(20)
    multiply = torch.mm
    for digits, sure in ((2.0**-24, True), (2.0**-17, False)):

        def roughly(left, right, *, out=None, digits=digits):
            return multiply((left / digits).round() * digits, right, out=out)

        monkeypatch.setattr(torch, "mm", roughly)
        assert assert_as_exact(embeddings, labels) == sure


def test_rounding_covers_the_errors_of_all_pairs_and_little_more():
    rows = prepare(*mixed(21, count=1500, width=512))
    exact = rows.unit.double() @ rows.unit.double().T
    error = float((rows.unit @ rows.unit.T - exact).abs().max())
    # The diagonal is the largest product and so has the largest error of all.
    assert 0.5 * error < rounding.quantile_rounding(rows) < 2 * error + 2e-8
    assert rounding.summing_bound(512) > 20 * error


def test_scores_that_coarse_bins_change_are_counted_exactly(monkeypatch, engine):
    embeddings, labels = mixed(12)
    monkeypatch.setattr(brackets, "_MOST_BINS", 24)
    assert not assert_as_exact(embeddings, labels)
    # Without that check the result would be wrong, so the check is what mends it.
    monkeypatch.setattr(scoring, "_AGREE", np.inf)
    exact = opis(embeddings, labels, exact=True)
    assert abs(opis(embeddings, labels, exact=False).opis / exact.opis - 1) > 1e-5


def tiles(seed, counter_class, threads=2, side=50, shift=6, dtype_limit=None):
    """Feed a counter with the same similarities, some of them exactly on edges and limits."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.r_[draw.integers(0, 12, 160), 100 + np.arange(40)])
    rows = prepare(draw.normal(size=(200, 4)), labels)
    similarity = torch.from_numpy(draw.uniform(-1, 1, size=(200, 200)).astype(np.float32))
    similarity[draw.random((200, 200)) < 0.1] = 0.5
    limits = torch.from_numpy(draw.choice([0.5, 0.25, np.inf], size=(2, 200)).astype(np.float32))
    bins = Bins(edge=0.5, shift=23 - shift, count=31, low=7, high=21)
    counter = counter_class(rows, limits, bins, side)
    for start in range(0, 200, side):
        counter.strip(
            slice(start, min(start + side, 200)),
            lambda left, right, out: out.copy_(similarity[left, right]),
        )
    torch.set_num_threads(before)
    return rows, similarity, limits, bins, counter.totals()


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=40), side=st.integers(1, 90))
def test_strips_hold_every_negative_pair_once_and_no_class_in_two_pieces(sizes, side):
    class_of = np.repeat(np.arange(len(sizes)), sizes)
    cutter = Cutter(np.repeat(np.cumsum(sizes), sizes), side)
    met = np.zeros((len(class_of), len(class_of)), int)
    for start in range(0, len(class_of), side):
        rows = slice(start, min(start + side, len(class_of)))
        seen = []
        for piece in cutter.columns(rows):
            seen += np.unique(class_of[piece]).tolist()
            for own, cols in cutter.tiles(rows, piece):
                assert 0 < (own.stop - own.start) * (cols.stop - cols.start) <= cutter.cells
                met[own, cols] += class_of[own, None] < class_of[cols]
        assert len(seen) == len(set(seen))
    np.testing.assert_array_equal(met, class_of[:, None] < class_of)


@pytest.mark.parametrize("seed", range(3))
def test_counters_agree_with_loops_over_pairs(seed):
    rows, similarity, limits, bins, totals = tiles(seed, TorchCounter)
    kept = np.flatnonzero(rows.sizes >= 2).tolist()
    by_group = np.zeros((len(kept) + 1, bins.count), int)
    fine, ahead = np.zeros(bins.fine_cells, int), np.zeros((2, 200), int)
    for i in range(200):
        for j in range(i + 1, 200):
            value, ends = float(similarity[i, j]), [int(rows.class_of[i]), int(rows.class_of[j])]
            if ends[0] == ends[1]:
                continue
            for own in (i, j):
                ahead[:, own] += (value > limits[:, own]).numpy()
            if value < bins.edge:
                continue
            cell = int((value - bins.edge) * 2**23)
            place = min(cell >> bins.shift, bins.count - 1)
            for end in ends:
                by_group[kept.index(end) if end in kept else -1, place] += 1
            if place < bins.low:
                fine[cell] += 1
            elif bins.high <= place < bins.count - 1:
                fine[cell - bins.skipped_cells] += 1
    np.testing.assert_array_equal(totals.by_group, by_group)
    np.testing.assert_array_equal(totals.fine, fine)
    np.testing.assert_array_equal(totals.ahead.numpy(), ahead)
    assert by_group[:, :-1].any(axis=1).all()
    assert fine.sum() > 100


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, threads=st.integers(1, 5), side=st.sampled_from([7, 50, 99, 100, 101, 300]))
def test_engines_count_the_same_integers(seed, threads, side):
    *_, ours = tiles(seed, NumbaCounter, threads, side)
    *_, theirs = tiles(seed, TorchCounter, 1, 50)
    np.testing.assert_array_equal(ours.by_group, theirs.by_group)
    np.testing.assert_array_equal(ours.fine, theirs.fine)
    np.testing.assert_array_equal(ours.ahead.numpy(), theirs.ahead.numpy())


@pytest.mark.parametrize("side", [7, 300])
@pytest.mark.parametrize("path", ["thread_tables", "torch_engine"])
def test_counts_beyond_32_bits_have_room(monkeypatch, path, side):
    part = importlib.import_module(f"tcmbench.metrics.engine.{path}")
    counter = NumbaCounter if path == "thread_tables" else TorchCounter
    narrow = tiles(5, counter, side=side)[-1].by_group
    monkeypatch.setattr(part, "most", lambda rows: 2**31)
    wide = tiles(5, counter, side=side)[-1].by_group
    assert (narrow.dtype, wide.dtype) == (np.int32, np.int64)
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("side", [7, 300])
def test_what_a_thread_raises_is_raised_and_nobody_waits(side):
    rows = prepare(np.random.default_rng(0).normal(size=(200, 4)), np.arange(200) // 4)
    limits = torch.full((2, 200), torch.inf)
    counter = NumbaCounter(rows, limits, Bins(edge=0.5, shift=17, count=31, low=7, high=21), side)

    def product(left, right, out):
        raise MemoryError("no room")

    def count():
        for start in range(0, 200, side):
            counter.strip(slice(start, min(start + side, 200)), product)
        return counter.totals()

    with pytest.raises(MemoryError, match="no room"):
        count()


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=SEEDS, block_size=st.integers(20, 450), threads=st.integers(1, 3))
def test_order_names_rotation_tiles_and_threads_change_nothing(seed, block_size, threads):
    embeddings, labels = mixed(seed)
    draw = np.random.default_rng(seed)
    rows, names = draw.permutation(400), draw.permutation(2000)
    turn, _ = np.linalg.qr(draw.normal(size=(32, 32)))
    expected = evaluate_all_pairs(embeddings, labels, KS, exact=False)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = evaluate_all_pairs(
        (embeddings @ turn)[rows], names[labels[rows]], KS, exact=False, block_size=block_size
    )
    torch.set_num_threads(before)
    assert_near(found.consistency, {n: getattr(expected.consistency, n) for n in SCORES})
    assert found.recall == expected.recall


@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=SEEDS)
def test_all_points_twice_keep_the_range_and_find_their_copies(seed):
    embeddings, labels = mixed(seed, count=300)
    once = evaluate_all_pairs(embeddings, labels, exact=False).consistency
    twice = evaluate_all_pairs(np.r_[embeddings, embeddings], np.r_[labels, labels], exact=False)
    assert twice.recall[1] == 1
    for name in ("d_min", "d_max"):
        assert getattr(twice.consistency, name) == pytest.approx(getattr(once, name), abs=1e-6)
    assert assert_as_exact(np.r_[embeddings, embeddings], np.r_[labels, labels]) in (True, False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_is_computed_in_full(dtype):
    embeddings, labels = mixed(13)
    tensor = torch.tensor(300 * embeddings).to(dtype)
    found = opis(tensor, torch.tensor(labels), exact=False)
    assert_near(found, opis_reference(tensor.double().numpy(), labels))


def test_a_file_that_is_only_mapped_is_enough(tmp_path):
    embeddings, labels = mixed(14)
    np.save(tmp_path / "rows.npy", embeddings.astype(np.float16))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert recall_at_k(mapped, labels, exact=False) == recall_at_k(np.array(mapped), labels)


def test_the_callers_precision_is_overruled_and_comes_back():
    embeddings, labels = mixed(15)
    expected = evaluate_all_pairs(embeddings, labels, KS, exact=False)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = evaluate_all_pairs(embeddings, labels, KS, exact=False)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert found.consistency.opis == expected.consistency.opis
    assert found.one_pass


@pytest.mark.skipif(not SWITCHES, reason="torch has these switches since 2.9")
def test_the_callers_newer_switch_is_overruled_too():
    embeddings, labels = mixed(15)
    expected = evaluate_all_pairs(embeddings, labels, KS, exact=False)
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        found = evaluate_all_pairs(embeddings, labels, KS, exact=False)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    assert found.consistency.opis == expected.consistency.opis


def test_the_callers_threads_come_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        evaluate_all_pairs(*mixed(19), exact=False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_progress_adds_up_to_all_pairs():
    embeddings, labels = mixed(16)
    done = []
    evaluate_all_pairs(embeddings, labels, exact=False, block_size=37, report=done.append)
    assert sum(done) == 400 * 399 // 2
    assert len(done) == 11


def test_large_sets_take_one_pass_by_themselves():
    embeddings, labels = mixed(17, count=2048, classes=30)
    assert evaluate_all_pairs(embeddings, labels).one_pass
    assert not evaluate_all_pairs(embeddings[:2047], labels[:2047]).one_pass


def test_numba_is_chosen_where_it_is_and_pays(monkeypatch):
    few, many = (prepare(np.eye(n, 3) + 1, np.arange(n) % 7) for n in (100, 5000))
    monkeypatch.delitem(sys.modules, "numba")
    assert counting._engine(few) == "torch"
    assert counting._engine(many) == "numba"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert counting._engine(many) == "torch"


def test_numba_is_not_imported_before_it_is_needed():
    source = str(SRC)
    script = """
import sys, numpy as np
from tcmbench.metrics import opis
opis(np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 5)
print("numba" in sys.modules)
"""
    shown = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": source}, capture_output=True, text=True
    )
    assert shown.stdout == "False\n", shown.stderr


def test_documented_example_runs():
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
