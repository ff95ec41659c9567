"""faiss on request: right where its search is a full one, and honest where it is not."""

import sys
import types

import faiss
import numpy as np
import pytest

from tcmbench.common.errors import UserError
from tcmbench.metrics import map_at_r, query_gallery_recall, recall_at_k
from tcmbench.metrics.search import faiss_search as module
from tcmbench.metrics.search.approximate import approximate_retrieval
from tests.metrics.references import clustered

KS = (1, 2, 5, 10)


@pytest.fixture(scope="module")
def one_set():
    return clustered(5, count=400, classes=30)


def test_full_search_is_exact(one_set):
    found = approximate_retrieval(*one_set, KS)
    assert found.recall == recall_at_k(*one_set, KS)
    assert found.map_at_r == pytest.approx(map_at_r(*one_set), abs=1e-12)
    assert (found.agreement, found.sample, found.index) == (1.0, 400, "Flat")


def test_separate_gallery(one_set):
    rows, labels = one_set
    sets = rows[:100], labels[:100], rows[100:], labels[100:]
    found = approximate_retrieval(*sets[:2], KS, gallery=sets[2], gallery_labels=sets[3])
    assert found.recall == query_gallery_recall(*sets, KS)
    assert found.agreement == 1.0
    # MAP@R against a plain loop, every query with R positives in the gallery.
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    averages = []
    for row, label in zip(unit[:100], labels[:100], strict=True):
        right = (labels[100:] == label)[np.argsort(-(unit[100:] @ row))]
        r = right.sum()
        if r:
            averages.append(sum(right[: i + 1].mean() for i in range(r) if right[i]) / r)
    assert found.map_at_r == pytest.approx(np.mean(averages), abs=1e-12)


def test_agreement_says_how_much_an_index_misses():
    rows = np.random.default_rng(0).normal(size=(3000, 24))
    labels = np.arange(3000) // 3
    few, many = (
        approximate_retrieval(rows, labels, (10,), index="IVF50,Flat", probes=n, sample=300)
        for n in (1, 50)
    )
    assert few.sample == 300
    assert many.agreement == 1.0
    assert many.recall == recall_at_k(rows, labels, (10,))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -2)
    assert 0.05 < few.agreement < 0.6
    # The agreement is that of faiss itself, asked apart from our code.
    quantizer = faiss.IndexFlatIP(24)
    index = faiss.IndexIVFFlat(quantizer, 24, 50, faiss.METRIC_INNER_PRODUCT)
    index.train(unit.astype(np.float32))
    index.add(unit.astype(np.float32))
    _, neighbours = index.search(unit.astype(np.float32), 11)
    exact = np.argsort(-similarity, axis=1)[:, :10]
    shares = [
        len((set(f) - {i}) & set(e)) / 10
        for i, (f, e) in enumerate(zip(neighbours.tolist(), exact.tolist(), strict=True))
    ]
    assert few.agreement == pytest.approx(np.mean(shares), abs=0.03)


@pytest.mark.parametrize(
    "index",
    ["PCA24,IVF50,Flat", "IVF50,PQ4x4,RFlat", "L2norm,IVF50,Flat", "IVF50_HNSW8,Flat"],
)
def test_probes_reach_lists_behind_other_parts(index):
    rows = np.random.default_rng(0).normal(size=(3000, 24))
    labels = np.arange(3000) // 3
    few, many = (
        approximate_retrieval(
            rows, labels, (10,), index=index, probes=n, sample=100, map_at_r=False
        )
        for n in (1, 50)
    )
    assert few.agreement < 0.6
    if "PQ" not in index:
        assert many.agreement > 0.95
    assert many.agreement > few.agreement + 0.05


def test_own_image_among_many_duplicates():
    # Half of the images are equal, so faiss may not return the query itself: still k neighbours.
    rows = np.concatenate(
        [np.tile([[1.0, 0.0]], (50, 1)), np.random.default_rng(0).normal(size=(50, 2))]
    )
    labels = np.concatenate([np.zeros(50, int), np.arange(1, 51)])
    found = approximate_retrieval(rows, labels, (1, 3), map_at_r=False)
    assert found.map_at_r is None
    assert found.recall == {1: 0.5, 3: 0.5}


def test_k_beyond_the_gallery_and_no_positive():
    rows, labels = np.eye(3), np.arange(3)
    found = approximate_retrieval(rows, labels, (1, 50))
    assert found.recall == {1: 0.0, 50: 0.0}
    assert found.map_at_r is None


def test_blocks_of_queries_make_no_difference(one_set, monkeypatch):
    whole = approximate_retrieval(*one_set, KS)
    monkeypatch.setattr("tcmbench.metrics.search.approximate._NEIGHBOURS_AT_A_TIME", 300)
    parts = approximate_retrieval(*one_set, KS)
    assert (parts.recall, parts.agreement) == (whole.recall, whole.agreement)
    assert parts.map_at_r == pytest.approx(whole.map_at_r, abs=1e-12)


def test_default_index_by_size():
    assert module.default_index(262_144) == "Flat"
    assert module.default_index(1_000_000) == "IVF4000,Flat"


def test_missing_faiss_in_one_sentence(one_set, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match="pip install faiss-cpu"):
        approximate_retrieval(*one_set)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"index": "Nonsense"}, "faiss knows no index 'Nonsense'"),
        ({"index": "IVF4096,Flat"}, r"'IVF4096,Flat' \(Number of training points \(400\) should"),
        ({"index": "IDMap,Flat"}, r"'IDMap,Flat' \(add does not make sense with IndexIDMap"),
        ({"probes": 0}, "probes is 0; visit at least one cell"),
        ({"gpu": True}, "this faiss sees no GPU"),
        ({"sample": 0}, "sample is 0"),
        ({"gallery": np.eye(16)}, "pass both or neither"),
        ({"k": (0,)}, "count neighbours from 1"),
    ],
)
def test_unusable_options(one_set, options, sentence):
    with pytest.raises(UserError, match=sentence):
        approximate_retrieval(*one_set, **options)


def test_gpus_are_used_where_there_are_some_and_deep_enough():
    with_gpu = types.SimpleNamespace(get_num_gpus=lambda: 2)
    assert module._on_gpu(with_gpu, None, 2048) is True
    assert module._on_gpu(with_gpu, None, 2049) is False
    assert module._on_gpu(with_gpu, False, 10) is False
    assert module._on_gpu(types.SimpleNamespace(), None, 10) is False
    with pytest.raises(UserError, match="at most 2048 neighbours on a GPU and 2049"):
        module._on_gpu(with_gpu, True, 2049)


def test_a_neighbour_that_was_not_found_is_no_hit():
    # Four tight clusters, one a cell; a query sees its own cell alone, and 40 images are not 160.
    axes = np.repeat(np.eye(4), 40, axis=0)
    gallery = axes + np.random.default_rng(0).normal(scale=0.01, size=axes.shape)
    labels = np.repeat([0, 1, 2, 9], 40)
    query, label = gallery[:1], np.array([9])
    found = approximate_retrieval(
        query, label, (160,), gallery=gallery, gallery_labels=labels, index="IVF4,Flat", probes=1
    )
    assert found.recall == {160: 0.0}
    assert found.map_at_r == 0.0
    assert found.agreement == 0.25
