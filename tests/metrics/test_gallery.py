"""Separate queries and gallery, against plain loops over all distances."""

import doctest
import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.common.errors import UserError
from tcmbench.metrics import (
    cosine_to_distance,
    distance_to_cosine,
    query_gallery_error_rates,
    query_gallery_recall,
    recall_at_k,
)
from tcmbench.metrics.search import gallery as module
from tcmbench.metrics.search.gallery import nearest_in_gallery
from tcmbench.metrics.search.sides import two_sides

KS = (1, 2, 3, 5, 1000)


def random_sets(seed, queries=23, images=61, width=5, classes=6):
    draw = np.random.default_rng(seed)
    sizes = (queries, images)
    rows = [draw.normal(size=(n, width)) for n in sizes]
    # Labels that are no positions, and that the two sets share only in part.
    names = [np.arange(classes) * 7 - 3, np.arange(2, classes + 2) * 7 - 3]
    labels = [draw.choice(name, n) for name, n in zip(names, sizes, strict=True)]
    return rows[0], labels[0], rows[1], labels[1]


def distances(query, gallery):
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (query, gallery))
    return np.array([[np.sqrt(((one - other) ** 2).sum()) for other in y] for one in x])


def recall_reference(query, query_labels, gallery, gallery_labels, k, own=None):
    d, hits = distances(query, gallery), 0
    for i in range(len(query)):
        others = [j for j in range(len(gallery)) if own is None or j != own[i]]
        nearest = sorted(others, key=lambda j, i=i: (d[i, j], j))[:k]
        hits += any(gallery_labels[j] == query_labels[i] for j in nearest)
    return hits / len(query)


@given(st.integers(0, 10**6), st.sampled_from([None, 1, 4, 7, 1000]))
@settings(max_examples=25, deadline=None)
def test_recall_against_loops(seed, block_size):
    sets = random_sets(seed)
    found = query_gallery_recall(*sets, k=KS, block_size=block_size)
    assert found == {k: recall_reference(*sets, k) for k in KS}


@given(st.integers(0, 10**6), st.sampled_from([None, 3, 1000]))
@settings(max_examples=15, deadline=None)
def test_own_image_is_left_out_by_its_row(seed, block_size):
    query, query_labels, gallery, gallery_labels = random_sets(seed)
    own = np.random.default_rng(seed).permutation(len(gallery))[: len(query)]
    own[::3] = -1
    paired = own >= 0
    gallery[own[paired]], gallery_labels[own[paired]] = query[paired], query_labels[paired]
    sets = (query, query_labels, gallery, gallery_labels)
    found = query_gallery_recall(*sets, k=KS, own=own, block_size=block_size)
    assert found == {k: recall_reference(*sets, k, own) for k in KS}


def test_one_set_as_both_sides_is_recall_at_k():
    rows = np.random.default_rng(0).normal(size=(80, 4)).round(1)
    rows[40:60] = rows[:20]  # Exact duplicates, some of another class.
    labels = np.random.default_rng(1).integers(0, 9, 80)
    found = query_gallery_recall(rows, labels, rows, labels, KS, own=np.arange(80))
    assert found == recall_at_k(rows, labels, KS)


def test_ties_by_lowest_gallery_row():
    query, gallery = np.array([[1.0, 0.0]]), np.tile([[0.0, 1.0]], (4, 1))
    labels = np.array([5, 5, 8, 5])
    found = query_gallery_recall(query, np.array([8]), gallery, labels, (1, 2, 3, 4))
    assert found == {1: 0.0, 2: 0.0, 3: 1.0, 4: 1.0}


def test_a_query_without_its_class_always_misses():
    query, gallery = np.eye(2), np.eye(2)
    found = query_gallery_recall(query, np.array([0, 9]), gallery, np.array([0, 1]), (1, 10))
    assert found == {1: 0.5, 10: 0.5}


def test_a_single_query_and_a_single_gallery_image():
    one, label = np.array([[3.0, 4.0]]), np.array([2])
    assert query_gallery_recall(one, label, one * 7, label, (1,)) == {1: 1.0}
    rates = query_gallery_error_rates(one, label, torch.tensor([[4.0, 3.0]]), label, [0.25, 0.3])
    # |(0.6, 0.8) - (0.8, 0.6)| = 0.2828
    assert rates.frr.tolist() == [1.0, 0.0]
    assert (rates.num_positives, rates.num_negatives) == (1, 0)


@given(st.integers(0, 10**6), st.sampled_from([None, 5, 1000]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_error_rates_against_loops(seed, block_size, with_own):
    sets = random_sets(seed)
    thresholds = np.random.default_rng(seed).uniform(0, 2, 6)  # In no order.
    own = None
    if with_own:
        own = np.full(len(sets[0]), -1)
        own[3], sets[2][7], sets[3][7] = 7, sets[0][3], sets[1][3]
    found = query_gallery_error_rates(*sets, thresholds, own=own, block_size=block_size)
    d, same = distances(sets[0], sets[2]), sets[1][:, None] == sets[3]
    positive, negative = same.copy(), ~same
    if with_own:
        positive[3, 7] = False
    np.testing.assert_allclose(found.far, [(d[negative] <= t).mean() for t in thresholds])
    np.testing.assert_allclose(found.frr, [(d[positive] > t).mean() for t in thresholds])
    np.testing.assert_allclose(found.cosines, 1 - thresholds**2 / 2)
    assert (found.num_positives, found.num_negatives) == (positive.sum(), negative.sum())


def test_a_pair_at_the_threshold_is_accepted():
    query, gallery = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    arguments = (query, np.array([1]), gallery, np.array([2]))
    on, below = np.sqrt(2.0), np.sqrt(2.0) - 1e-6
    assert query_gallery_error_rates(*arguments, [below, on]).far.tolist() == [0.0, 1.0]


def test_units():
    assert distance_to_cosine(2.0) == -1
    assert cosine_to_distance(-1.0) == 2
    d = np.linspace(0, 2, 9)
    np.testing.assert_allclose(cosine_to_distance(distance_to_cosine(d)), d, atol=1e-12)
    assert distance_to_cosine(np.sqrt(2)) == pytest.approx(0, abs=1e-15)


def test_half_precision_and_tensors():
    query, query_labels, gallery, gallery_labels = random_sets(3)
    halves = query.astype(np.float16), gallery.astype(np.float16)
    tensors = [torch.from_numpy(array) for array in (halves[0], query_labels)]
    found = query_gallery_recall(*tensors, halves[1], gallery_labels, KS)
    assert found == {
        k: recall_reference(
            halves[0].astype(float), query_labels, halves[1].astype(float), gallery_labels, k
        )
        for k in KS
    }


def test_nearest_in_gallery_in_class_order():
    query, query_labels, gallery, gallery_labels = random_sets(4)
    sides = two_sides(query, query_labels, gallery, gallery_labels, None, "cpu", 8)
    found = nearest_in_gallery(sides, [0, 5], 4)
    assert ((found >= sides.queries) & (found < len(sides.rows))).all()
    rows = sides.source[found].numpy()
    expected = distances(query, gallery)[sides.source[[0, 5]].numpy()].argsort(axis=1)[:, :4]
    np.testing.assert_array_equal(rows, expected)


NAN = np.array([[1.0, 0.0], [np.nan, 0.0]])
TWO = np.eye(2)
LABELS = np.array([0, 1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((NAN, LABELS, TWO, LABELS), "query: embeddings hold NaN or infinity in row 1"),
        ((TWO, LABELS, NAN, LABELS), "gallery: embeddings hold NaN or infinity in row 1"),
        ((TWO * [[1], [0]], LABELS, TWO, LABELS), "query: embeddings are all zero in row 1"),
        ((TWO, LABELS[:1], TWO, LABELS), r"query: labels have shape \(1,\)"),
        ((TWO, LABELS, np.eye(3), np.arange(3)), "queries have 2 dimensions and the gallery 3"),
        ((TWO, LABELS, TWO, LABELS * 1.0), "gallery: labels are float64"),
    ],
)
def test_unusable_sets(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        query_gallery_recall(*arguments)


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ([0], "give one gallery row"),
        ([0.0, 1.0], "give one gallery row"),
        ([0, 2], "of a gallery of 2 images"),
        ([-2, 0], "of a gallery of 2 images"),
        ([1, -1], "differ in label"),
    ],
)
def test_unusable_own(own, sentence):
    with pytest.raises(UserError, match=sentence):
        query_gallery_recall(TWO, LABELS, TWO, LABELS, own=np.array(own))


@pytest.mark.parametrize("thresholds", [[], [[0.5]], [-0.1], [np.nan]])
def test_unusable_thresholds(thresholds):
    with pytest.raises(UserError, match="give distances >= 0"):
        query_gallery_error_rates(TWO, LABELS, TWO, LABELS, thresholds)


def test_unusable_k():
    with pytest.raises(UserError, match="count neighbours from 1"):
        query_gallery_recall(TWO, LABELS, TWO, LABELS, (0,))


@pytest.mark.parametrize(
    "name",
    [
        "search.gallery",
        "search.gallery_rates",
        "search.approximate",
        "engine.cosines",
        "class_recall",
        "modular",
        "pml",
    ],
)
def test_examples_in_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(f"tcmbench.metrics.{name}"))
    assert outcome.attempted > 2
    assert outcome.failed == 0


def test_memory_is_bounded_by_blocks(monkeypatch):
    seen = []
    whole = module.squared_distances

    def spied(rows, left, right):
        found = whole(rows, left, right)
        seen.append(found.shape)
        return found

    monkeypatch.setattr(module, "squared_distances", spied)
    query_gallery_recall(*random_sets(0), block_size=8)
    assert len(seen) > 24
    assert max(max(shape) for shape in seen) == 8
