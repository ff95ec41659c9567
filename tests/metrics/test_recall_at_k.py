import doctest

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

import tcmbench.metrics.retrieval as module
from tcmbench.common.errors import UserError
from tcmbench.metrics import map_at_r, recall_at_k
from tests.metrics.references import clustered, map_at_r_reference, recall_reference

SEEDS = st.integers(0, 2**31)


def with_duplicates(seed, count=60):
    """Clustered rows of which a third are copies of a few others, often of another class."""
    embeddings, labels = clustered(seed, count=count, spread=1.5)
    embeddings[::3] = embeddings[1 : 1 + 5].repeat(count, axis=0)[: len(embeddings[::3])]
    embeddings[1::6] = embeddings[2]
    return embeddings, labels


def test_hand_worked_example():
    # On a line of angles: a0 0, a1 10, b2 12, b3 30, c4 31 (degrees), classes a a b b c.
    # Nearest others: a0: a1, b2, ..; a1: b2 (2), a0 (10); b2: a1 (2), a0 (12), b3 (18);
    # b3: c4 (1), b2 (18); c4 is alone and misses. First positive at rank 1, 2, 3, 2, none.
    angle = np.radians([0, 10, 12, 30, 31])
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.array([0, 0, 1, 1, 2])
    assert recall_at_k(embeddings, labels, k=(1, 2, 3, 4, 99)) == {
        1: 1 / 5,
        2: 3 / 5,
        3: 4 / 5,
        4: 4 / 5,
        99: 4 / 5,
    }
    # R = 1 for the first four, so MAP@R = share with the positive first = 1/4.
    assert map_at_r(embeddings, labels) == 0.25


def test_map_at_r_by_hand():
    # Classes a a b a, so R = 2 for each a, and the b is alone and no query.
    # Row 0: row 1 (distance 1), row 2 (sqrt2), row 3 (1.85): right, wrong = (1/1)/2.
    # Row 1: row 0 (1, the lower index of a tie), row 2 (1), row 3 (sqrt2): right, wrong = (1/1)/2.
    # Row 3: row 2 (0.77), row 1 (sqrt2), row 0 (1.85): wrong, right = (1/2)/2.
    embeddings = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [-1, 0, 0, 1]], np.float64)
    assert map_at_r(embeddings, np.array([0, 0, 1, 0])) == pytest.approx((0.5 + 0.5 + 0.25) / 3)


def test_ties_go_to_the_lowest_index():
    # Row 0 is the query; rows 1 and 2 are equally near, one of each class.
    embeddings = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [-1, 0, 0]], dtype=np.float32)
    first_right = recall_at_k(embeddings, np.array([5, 5, 6, 7]), k=[1])[1]
    first_wrong = recall_at_k(embeddings, np.array([5, 6, 5, 7]), k=[1])[1]
    # Row 1 (or 2) finds row 0 of its own class first; the others miss.
    assert (first_right, first_wrong) == (2 / 4, 1 / 4)


def test_own_index_is_left_out_even_among_duplicates():
    # Three equal rows, classes 0 1 1. Row 0 meets row 1 (wrong); row 1 meets row 0 (wrong);
    # row 2 meets row 0 (wrong): dropping the first result would let rows 1 and 2 find each other.
    embeddings = np.ones((3, 33))
    assert recall_at_k(embeddings, np.array([0, 1, 1]), k=(1, 2)) == {1: 0, 2: 2 / 3}
    assert recall_at_k(embeddings, np.array([1, 1, 0]), k=(1, 2)) == {1: 2 / 3, 2: 2 / 3}


@pytest.mark.parametrize("block_size", [1, 13, 59, 60, 61, None])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force(seed, block_size):
    embeddings, labels = with_duplicates(seed)
    labels[-2:] = 97, 98
    found = recall_at_k(embeddings, labels, k=(1, 2, 3, 5, 10, 59), block_size=block_size)
    assert found == {k: recall_reference(embeddings, labels, k) for k in found}
    assert map_at_r(embeddings, labels, block_size=block_size) == pytest.approx(
        map_at_r_reference(embeddings, labels), abs=1e-12
    )


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, block_size=st.integers(9, 65), offset=st.sampled_from([-(2**62), -9, 2**62]))
def test_block_size_and_label_names_change_nothing(seed, block_size, offset):
    embeddings, labels = with_duplicates(seed)
    names = offset + 5 * np.random.default_rng(seed).permutation(9)
    assert recall_at_k(embeddings, names[labels], block_size=block_size) == recall_at_k(
        embeddings, labels
    )
    assert map_at_r(embeddings, names[labels], block_size=block_size) == pytest.approx(
        map_at_r(embeddings, labels), abs=1e-14
    )


@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=SEEDS)
def test_row_order_and_rotation_change_nothing_without_ties(seed):
    embeddings, labels = clustered(seed, count=50)
    draw = np.random.default_rng(seed)
    rows, (turn, _) = draw.permutation(50), np.linalg.qr(draw.normal(size=(16, 16)))
    moved, names = (embeddings @ turn)[rows], labels[rows]
    assert recall_at_k(moved, names) == recall_at_k(embeddings, labels)
    assert map_at_r(moved, names) == pytest.approx(map_at_r(embeddings, labels), abs=1e-12)


def test_recall_at_1_agrees_with_faiss():
    embeddings, labels = clustered(1, count=900, width=32, classes=40, spread=1.2)
    unit = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    index = faiss.IndexFlatIP(32)
    index.add(unit)
    _, found = index.search(unit, 2)
    own = np.arange(900)
    nearest = np.where(found[:, 0] == own, found[:, 1], found[:, 0])
    expected = (labels[nearest] == labels).mean()
    assert 0.05 < expected < 0.95
    assert recall_at_k(embeddings, labels)[1] == pytest.approx(expected, abs=1e-12)


def test_map_at_r_agrees_with_pytorch_metric_learning():
    embeddings, labels = clustered(2, count=300, width=8, classes=12)
    unit = torch.nn.functional.normalize(torch.tensor(embeddings, dtype=torch.float32))
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r", "precision_at_1"), k="max_bin_count"
    )
    expected = calculator.get_accuracy(unit, torch.tensor(labels))
    assert 0.05 < expected["mean_average_precision_at_r"] < 0.95
    assert map_at_r(unit, labels) == pytest.approx(expected["mean_average_precision_at_r"], 1e-6)
    assert recall_at_k(unit, labels)[1] == pytest.approx(expected["precision_at_1"], abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tensors_and_arrays_agree(dtype):
    embeddings, labels = clustered(4)
    tensor = torch.tensor(embeddings, dtype=dtype)
    array = tensor.double().numpy()
    assert recall_at_k(tensor, torch.tensor(labels)) == recall_at_k(array, labels)
    assert map_at_r(tensor, torch.tensor(labels)) == map_at_r(array, labels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    embeddings, labels = with_duplicates(9, count=500)
    assert recall_at_k(embeddings, labels, device="cuda") == recall_at_k(embeddings, labels)
    assert map_at_r(embeddings, labels, device="cuda") == pytest.approx(
        map_at_r(embeddings, labels), abs=1e-12
    )


def test_near_neighbours_on_a_circle_are_told_apart():
    # Neighbours 1e-5 apart: their cosines to a query all round to 1 in float32.
    angle = np.array([0, 1, 3, 4]) * 1e-5
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert recall_at_k(embeddings, np.array([0, 0, 1, 1]), k=[1]) == {1: 1.0}


def test_one_class_is_always_right():
    embeddings, _ = clustered(0, count=10)
    assert recall_at_k(embeddings, np.zeros(10, dtype=np.uint8)) == {1: 1, 2: 1, 4: 1, 8: 1}
    assert map_at_r(embeddings, np.zeros(10, dtype=np.uint8)) == 1


def test_unusable_input_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="k is 0; count neighbours from 1"):
        recall_at_k(np.eye(3), np.arange(3), k=(1, 0))
    with pytest.raises(UserError, match="NaN or infinity in row 1"):
        recall_at_k(np.array([[1.0], [np.nan]]), np.arange(2))
    with pytest.raises(UserError, match="no class has two images"):
        map_at_r(np.eye(3), np.arange(3))
    assert recall_at_k(np.eye(3), np.arange(3)) == {1: 0, 2: 0, 4: 0, 8: 0}


def test_documented_example_runs():
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
