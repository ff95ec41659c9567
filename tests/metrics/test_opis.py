import doctest
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tcmbench.metrics.consistency as module
from tcmbench.common.errors import UserError
from tcmbench.metrics import opis
from tcmbench.metrics.scoring import _scores, utility_of
from tests.metrics.references import clustered, opis_reference
from tests.paths import SRC

# Unit vectors whose cosines are 0, 1/2, -1/2 and 1, so that all distances are exact:
# E1..E3 are sqrt(2) apart, HALF is 1 from each of them.
E1, E2, E3 = [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]
HALF = [1, 1, 1, 1]

SEEDS = st.integers(0, 2**31)
FIELDS = ("thresholds", "utility", "sensitivity", "specificity")


def assert_matches(result, expected):
    for name in ("opis", "epsilon_opis", "d_min", "d_max"):
        assert getattr(result, name) == pytest.approx(expected[name], abs=1e-6), name
    for name in FIELDS:
        np.testing.assert_allclose(getattr(result, name), expected[name], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(result.classes, expected["classes"])
    assert result.num_excluded_classes == expected["num_excluded_classes"]


def assert_same(result, other):
    """Bit for bit where counts are involved; sums over classes may differ in the last digit."""
    assert (result.d_min, result.d_max) == (other.d_min, other.d_max)
    assert result.opis == pytest.approx(other.opis, abs=1e-14)
    assert result.epsilon_opis == pytest.approx(other.epsilon_opis, abs=1e-14)


def test_hand_worked_example():
    # Class 0 = {E1, E1}: positive at 0. Class 1 = {E2, E3}: positive at sqrt2. Class 2 = {HALF}.
    # Negatives: HALF to each of four at 1; class 0 to class 1, four at sqrt2. Eight in all.
    # FAR(1) = 1/2, FAR(sqrt2) = 1, so rates 0.5 and 0.51 give the range [1, sqrt2].
    # At 1 and at 1.207: sens = 1, 0; spec = 4/6 for both (a pair at the threshold is accepted);
    # U0 = 2 (2/3) / (5/3) = 0.8, U1 = 0. At sqrt2: spec = 0, U = 0, 0.
    # Variance 0.4^2 = 0.16 at two of three thresholds, trapezoidal weights 1/4, 1/2, 1/4:
    # OPIS = 0.75 * 0.16 = 0.12; worst half = class 1: 0.75 * 0.8^2 = 0.48.
    embeddings = np.array([E1, E1, E2, E3, HALF], dtype=np.float32)
    result = opis(embeddings, np.array([0, 0, 1, 1, 2]), (0.5, 0.51), 1.0, 0.5, 3)
    assert (result.d_min, result.d_max) == (1.0, math.sqrt(2))
    np.testing.assert_allclose(result.utility, [[0.8, 0.8, 0], [0, 0, 0]], atol=1e-15)
    np.testing.assert_allclose(result.sensitivity, [[1, 1, 1], [0, 0, 1]], atol=0)
    np.testing.assert_allclose(result.specificity, [[4 / 6, 4 / 6, 0]] * 2, atol=1e-15)
    assert result.opis == pytest.approx(0.12, abs=1e-15)
    assert result.epsilon_opis == pytest.approx(0.48, abs=1e-15)
    assert result.classes.tolist() == [0, 1]
    assert (result.num_images, result.num_classes, result.num_excluded_classes) == (5, 3, 1)


def test_a_pair_at_a_threshold_within_the_range_is_accepted():
    # Class 0 = {E1, HALF}: positive at 1. Class 1 = {E1, -E1}: positive at 2.
    # Negatives at 0, 2, 1 and sqrt3; rates 0.25 and 0.99 give [0, 2], the middle threshold is 1.
    # There: sens = 1, 0 and spec = 2/4, so U = 2/3, 0; at 0 both sens are 0; at 2 spec is 0.
    # Variance (1/3)^2 with weight 1/2: OPIS = 1/18.
    embeddings = np.array([E1, HALF, E1, np.negative(E1)], dtype=np.float64)
    result = opis(embeddings, np.array([0, 0, 1, 1]), (0.25, 0.99), num_thresholds=3)
    assert result.thresholds.tolist() == [0, 1, 2]
    np.testing.assert_allclose(result.utility, [[0, 2 / 3, 0], [0, 0, 0]], atol=1e-15)
    assert result.opis == pytest.approx(1 / 18, abs=1e-15)


def test_rates_are_read_as_written():
    # 100 negative pairs, two at each of 50 distances: 0.14 * 100 is 14.000000000000002 in floating
    # point, yet means the 14th.
    angles = np.concatenate([[0.0, 0.0], np.arange(1, 51) / 100])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.array([0] * 2 + [1] * 50)
    result = opis(embeddings, labels, (0.14, 0.28))
    assert result.d_min == pytest.approx(2 * math.sin(0.07 / 2), abs=1e-7)
    assert result.d_max == pytest.approx(2 * math.sin(0.14 / 2), abs=1e-7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block_size", [23, 119, 120, 121])
def test_agrees_with_brute_force(seed, block_size):
    embeddings, labels = clustered(seed, count=120)
    result = opis(embeddings, labels, block_size=block_size)
    assert_matches(result, opis_reference(embeddings, labels))


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 2.0},
        {"beta": 0.3, "epsilon": 0.5},
        {"epsilon": 0.3},
        {"num_thresholds": 2},
        {"num_thresholds": 7, "far": (0.001, 0.5)},
        {"frr": (0.05, 0.4)},
    ],
)
def test_options_agree_with_brute_force(options):
    embeddings, labels = clustered(11)
    ours = {{"far": "far_range", "frr": "frr_range"}.get(k, k): v for k, v in options.items()}
    assert_matches(opis(embeddings, labels, **ours), opis_reference(embeddings, labels, **options))


def test_class_of_one_image_is_excluded_but_stays_a_negative():
    embeddings, labels = clustered(3, count=60)
    labels = np.concatenate([labels, [50, 51]])
    embeddings = np.concatenate([embeddings, embeddings[:2]])
    result = opis(embeddings, labels)
    assert result.num_excluded_classes == 2
    assert not {50, 51} & set(result.classes.tolist())
    assert_matches(result, opis_reference(embeddings, labels))


def test_duplicates_across_tiles_and_classes_agree_with_brute_force():
    embeddings, labels = clustered(5, count=40)
    embeddings, labels = np.tile(embeddings, (4, 1)), np.concatenate([labels] * 3 + [labels[::-1]])
    reference = opis_reference(embeddings, labels)
    for block_size in (33, 1000):
        assert_matches(opis(embeddings, labels, block_size=block_size), reference)


def test_classes_alike_have_no_inconsistency():
    # All four negatives belong to both classes, and both positives lie below the range.
    angles = np.array([0.0, 0.01, 1.0, 1.2])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = opis(embeddings, np.array([0, 0, 1, 1]), (0.25, 0.9))
    assert result.d_min < result.d_max
    assert result.opis == 0
    assert result.epsilon_opis == 0


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("embeddings", "labels", "distance"),
    [
        # Every class is one point, and all points are sqrt2 apart.
        (np.repeat(np.eye(6), 3, axis=0), np.repeat(np.arange(6), 3), "1.41421"),
        (np.ones((50, 33)), np.arange(50) % 3, "0"),
    ],
)
def test_a_range_of_one_point_is_refused(embeddings, labels, distance, exact):
    with pytest.raises(UserError) as error:
        opis(embeddings, labels, exact=exact)
    assert str(error.value).startswith(
        f"false accept rates from 0.01 to 0.1 are all reached at one distance, {distance}: "
    )
    with pytest.raises(UserError, match=r"^false reject rates from 0\.1 to 0\.2 are all reached"):
        opis(embeddings, labels, frr_range=(0.1, 0.2), exact=exact)


@pytest.mark.parametrize("exact", [True, False])
def test_a_rate_below_one_pair_is_refused(exact):
    # 90 negative pairs, 15 positive ones.
    embeddings, labels = np.random.default_rng(0).normal(size=(15, 4)), np.repeat(np.arange(5), 3)
    with pytest.raises(UserError) as error:
        opis(embeddings, labels, exact=exact)
    assert str(error.value) == (
        "a false accept rate of 0.01 is less than one of the 90 negative pairs there are; the "
        "smallest rate that they can measure is 0.0111: ask for that or more, or measure more "
        "images"
    )
    with pytest.raises(UserError, match=r"^a false reject rate of 0\.06 is .* 15 positive pairs"):
        opis(embeddings, labels, frr_range=(0.06, 0.5), exact=exact)
    # Exactly one pair can be measured.
    assert opis(embeddings, labels, frr_range=(1 / 15 + 1e-9, 0.5), exact=exact).opis > 0


def test_one_class_with_pairs_is_refused():
    embeddings, _ = clustered(2, count=6)
    for labels in ([8, 8, 8, 1, 2, 3], [1, 2, 8, 8, 4, 3]):
        with pytest.raises(UserError, match=r"^only class 8 has two images; OPIS compares classes"):
            opis(embeddings, np.array(labels))


def test_an_epsilon_that_leaves_no_class_is_refused():
    embeddings = np.array([E1, E1, E2, E3, HALF], dtype=np.float32)
    with pytest.raises(UserError, match=r"^epsilon is 0\.8, which takes all 2 classes"):
        opis(embeddings, np.array([0, 0, 1, 1, 2]), (0.5, 0.51), epsilon=0.8)


def test_utility_is_zero_where_both_rates_are():
    sensitivity, specificity = np.array([[0, 0.5, 1.0]]), np.array([[0, 0.25, 0.0]])
    np.testing.assert_array_equal(utility_of(sensitivity, specificity, 2.0), [[0, 0.625 / 1.5, 0]])


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0]])
def test_classes_of_equal_mean_are_ranked_by_their_curve(order):
    # Means 1/4, 1/4, 1 under the weights 1/4 1/2 1/4. The last threshold where the two differ, the
    # middle one, decides: worst is [1, 0, 0]; the rest's mean is [.5, .75, .5]; the gap
    # [-.5, .75, .5] squared is [1/4, 9/16, 1/4], on average 13/32.
    curves = np.array([[0, 0.5, 0], [1, 0, 0], [1, 1, 1]])
    assert _scores(curves[order], epsilon=0.3)[1] == pytest.approx(13 / 32, abs=1e-15)


def test_length_of_rows_is_irrelevant():
    embeddings, labels = clustered(6)
    expected = opis(embeddings, labels)
    powers = 2.0 ** np.random.default_rng(0).integers(-900, 900, size=(len(labels), 1))
    assert_same(opis(embeddings * powers, labels), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_input_is_computed_wide(dtype):
    embeddings, labels = clustered(7)
    # Squares of this length leave float16; a sum in float16 would be off by far more than 1e-6.
    embeddings = (300 * embeddings).astype(dtype)
    assert_matches(opis(embeddings, labels), opis_reference(embeddings, labels))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_and_arrays_agree(dtype):
    embeddings, labels = clustered(8)
    tensor = torch.tensor(embeddings, dtype=dtype, requires_grad=True)
    array = tensor.detach().double().numpy()
    result = opis(tensor, torch.tensor(labels, dtype=torch.int32))
    assert_same(result, opis(array, labels))
    assert isinstance(result.utility, np.ndarray)


def test_input_is_left_alone():
    embeddings, labels = clustered(8)
    array, tensor = embeddings.copy(), torch.tensor(embeddings)
    array.flags.writeable = False
    opis(array, labels)
    opis(tensor, labels)
    np.testing.assert_array_equal(tensor.numpy(), embeddings)


def test_memory_layout_is_irrelevant():
    embeddings, labels = clustered(8)
    assert_same(opis(np.asfortranarray(embeddings), labels), opis(embeddings, labels))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    embeddings, labels = clustered(9, count=500)
    assert_same(opis(embeddings, labels, device="cuda"), opis(embeddings, labels))


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, block_size=st.integers(13, 45))
def test_block_size_changes_nothing(seed, block_size):
    embeddings, labels = clustered(seed, count=40)
    embeddings[::3] = embeddings[0]
    far = (0.13, 0.4)  # beyond the copies
    result = opis(embeddings, labels, far, block_size=block_size)
    expected = opis(embeddings, labels, far)
    assert_same(result, expected)
    np.testing.assert_array_equal(result.utility, expected.utility)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, offset=st.sampled_from([-(2**62), -40, 2**62]))
def test_row_order_and_label_names_change_nothing(seed, offset):
    embeddings, labels = clustered(seed, count=60)
    embeddings[::3] = embeddings[0]
    draw = np.random.default_rng(seed)
    rows = draw.permutation(60)
    names = offset + 3 * draw.permutation(9)
    far = (0.13, 0.4)  # beyond the copies
    result = opis(embeddings[rows], names[labels[rows]], far, block_size=17)
    assert_same(result, opis(embeddings, labels, far))
    assert set(result.classes.tolist()) <= set(names.tolist())


# The same examples in every run: one draw in a hundred puts a pair of these few within 1e-7 of a
# threshold, where the digits that a rotation changes decide.
@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=SEEDS)
def test_rotation_changes_nothing(seed):
    embeddings, labels = clustered(seed, count=60)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(16, 16)))
    result, expected = opis(embeddings @ turn, labels), opis(embeddings, labels)
    for name in ("opis", "epsilon_opis", "d_min", "d_max"):
        assert getattr(result, name) == pytest.approx(getattr(expected, name), abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_scores_stay_in_their_range(seed):
    embeddings, labels = clustered(seed, count=40, spread=3.0)
    result = opis(embeddings, labels, far_range=(0.002, 0.9))
    # A variance of numbers in [0, 1] is at most 1/4; sensitivity rises with d, specificity falls.
    assert 0 <= result.opis <= 0.25
    assert 0 <= result.epsilon_opis <= 1
    assert (np.diff(result.sensitivity) >= 0).all()
    assert (np.diff(result.specificity) <= 0).all()
    assert np.isfinite(result.utility).all()


def test_tiny_distances_keep_their_digits():
    # 1 - cos of these angles is 5e-9 and less: as 2 - 2 cos in float32 they would all be 0.
    angles = np.array([0.0, 1.0, 3.0, 6.0]) * 1e-4
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = opis(embeddings, np.array([0, 0, 1, 1]), (0.25, 0.9))
    assert result.d_min == pytest.approx(2e-4, abs=1e-6)
    assert result.d_max == pytest.approx(6e-4, abs=1e-6)


GOOD = np.eye(4)
LABELS = np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("embeddings", "labels", "sentence"),
    [
        (np.where(np.eye(4) > 0, np.nan, 1)[:2].repeat(2, 0), LABELS, "in 4 rows (0, 1, 2, 3)"),
        (np.vstack([GOOD[:3], [0, np.inf, 0, 0]]), LABELS, "NaN or infinity in row 3"),
        (np.vstack([GOOD[:2], np.zeros((2, 4))]), LABELS, "all zero in 2 rows (2, 3)"),
        (GOOD, LABELS[:3], "labels have shape (3,) but there are 4 embeddings"),
        (GOOD, LABELS[:, None], "labels have shape (4, 1)"),
        (GOOD, LABELS / 2, "labels are float64; number the classes with integers"),
        (GOOD, LABELS.astype(str), "number the classes with integers"),
        (GOOD[0], LABELS, "embeddings have shape (4,)"),
        (GOOD[None], LABELS, "embeddings have shape (1, 4, 4)"),
        (np.zeros((0, 4)), LABELS[:0], "at least two images"),
        (GOOD[:1], LABELS[:1], "at least two images"),
        (GOOD[:, :0], LABELS, "at least two images are needed"),
        (GOOD.astype(complex), LABELS, "embeddings are complex128"),
        (torch.eye(4, dtype=torch.bool), LABELS, "embeddings are torch.bool"),
        (GOOD, np.full(4, 7), "all images have the label 7"),
        (GOOD, np.arange(4), "no class has two images"),
    ],
)
def test_unusable_input_is_refused_in_a_sentence(embeddings, labels, sentence):
    with pytest.raises(UserError) as caught:
        opis(embeddings, labels)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"far_range": (0.1, 0.01)}, "far_range is 0.1 0.01; give two rates"),
        ({"far_range": (0, 0.1)}, "far_range is 0 0.1"),
        ({"far_range": (0.1, 0.1)}, "far_range is 0.1 0.1"),
        ({"frr_range": (0.1, 1)}, "frr_range is 0.1 1"),
        ({"beta": 0}, "beta is 0"),
        ({"beta": math.nan}, "beta is nan"),
        ({"beta": math.inf}, "beta is inf"),
        ({"epsilon": 0}, "epsilon is 0; give a share"),
        ({"epsilon": 1}, "epsilon is 1; give a share"),
        ({"epsilon": 1.5}, "epsilon is 1.5; give a share"),
        ({"num_thresholds": 1}, "num_thresholds is 1"),
        ({"block_size": 0}, "block_size is 0"),
    ],
)
def test_options_out_of_range_are_refused(option, sentence):
    with pytest.raises(UserError) as caught:
        opis(GOOD, LABELS, **option)
    assert sentence in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_device_is_named():
    with pytest.raises(UserError, match="no CUDA device"):
        opis(GOOD, LABELS, device="cuda")


def test_memory_stays_far_below_all_pairs():
    # All pairs of 9,000 rows are 324 MB in float32, and half of them 162 MB.
    script = """
import re, numpy as np
from tcmbench.metrics import map_at_r, opis, recall_at_k
# Not getrusage, whose peak begins with that of the process that started this one.
peak = lambda: int(re.search("VmHWM:([^k]+)", open("/proc/self/status").read())[1]) // 1024
def data(n): return np.random.default_rng(0).normal(size=(n, 8)), np.arange(n) % 500
def run(n): opis(*data(n)); recall_at_k(*data(n)); map_at_r(*data(n))
run(4_100)
before = peak()
run(9_000)
print(peak() - before)
"""
    source = str(SRC)
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert int(shown) < 80


def test_documented_example_runs():
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


PRECISIONS = """
import sys
import torch
from torch import backends

values = {
    "new": lambda: setattr(backends, "fp32_precision", "tf32"),
    "cuda": lambda: setattr(backends.cuda.matmul, "fp32_precision", "tf32"),
    "mkldnn": lambda: setattr(backends.mkldnn.matmul, "fp32_precision", "bf16"),
    "old": lambda: torch.set_float32_matmul_precision("medium"),
    "default": lambda: None,
}
def state():
    found = [
        part.fp32_precision
        for part in (backends, backends.cuda.matmul, backends.mkldnn, backends.mkldnn.matmul)
    ]
    try:
        return [*found, torch.get_float32_matmul_precision()]
    except RuntimeError as error:
        return [*found, str(error)]

values[sys.argv[1]]()
before = state()
from tcmbench.metrics.engine.counting import full_precision
with full_precision():
    assert backends.cuda.matmul.fp32_precision == "ieee"
    assert backends.mkldnn.matmul.fp32_precision == "ieee"
assert state() == before, (state(), before)
backends.fp32_precision = "ieee"
print(backends.cuda.matmul.fp32_precision)
"""


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"),
    reason="torch has these switches since 2.9",
)
@pytest.mark.parametrize(
    ("way", "then"),
    [("new", "ieee"), ("cuda", "tf32"), ("mkldnn", "ieee"), ("old", "tf32"), ("default", "ieee")],
)
def test_precision_is_full_inside_and_the_callers_afterwards(way, then):
    """Also what a backend inherits: it goes on following the general setting."""
    done = subprocess.run(
        [sys.executable, "-c", PRECISIONS, way],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == then
