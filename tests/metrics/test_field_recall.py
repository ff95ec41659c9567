"""R@1 as the field computes it: faiss's flat index, held against NumPy alone."""

import sys

import numpy as np
import pytest

from tcmbench.common.errors import UserError
from tcmbench.metrics import recall_at_k
from tcmbench.metrics.search import faiss_search, field_recall
from tcmbench.metrics.search.field_recall import field_recall_at_1
from tests.metrics.references import clustered


def reference(embeddings, labels):
    """The class of the image of largest float32 cosine, each one's own entry struck out."""
    rows = np.asarray(embeddings, np.float64)
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    cosines = unit @ unit.T
    cosines[np.arange(len(unit)), np.arange(len(unit))] = -np.inf
    return float((labels[cosines.argmax(axis=1)] == labels).mean())


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_numpy_finds(seed):
    embeddings, labels = clustered(seed, count=500, classes=40)
    # In no order of classes, so that a place taken for an index would show.
    order = np.random.default_rng(seed).permutation(500)
    found, how = field_recall_at_1(embeddings[order], labels[order], "cpu")
    assert found == reference(embeddings[order], labels[order])
    assert 0.05 < found < 0.95
    assert (how["index"], how["device"], how["package"]) == ("Flat", "cpu", "faiss-cpu")
    assert how["version"] == faiss_search.installed_build()[1]


def test_blocks_of_queries_make_no_difference(monkeypatch):
    embeddings, labels = clustered(7, count=300, classes=40)
    monkeypatch.setattr(field_recall, "_AT_A_TIME", 7)
    assert field_recall_at_1(embeddings, labels, "cpu")[0] == reference(embeddings, labels)


def test_an_own_image_is_left_out_by_its_index_and_not_by_its_rank():
    # Each image has a twin of another class at the same place. The twin is the nearest other one,
    # whichever of the two faiss names first, so nothing is right; the place struck out by rank
    # would leave about half of the images with themselves.
    rows = np.repeat(np.random.default_rng(0).normal(size=(40, 8)), 2, axis=0)
    labels = np.arange(80) % 2
    assert field_recall_at_1(rows, labels, "cpu")[0] == 0.0


def test_without_faiss_and_beyond_minutes_there_is_none(monkeypatch):
    embeddings, labels = clustered(0)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "faiss", None)
        assert field_recall_at_1(embeddings, labels, "cpu") == (None, None)
    monkeypatch.setattr(field_recall, "FULL_SEARCH", len(embeddings) - 1)
    assert field_recall_at_1(embeddings, labels, "cpu") == (None, None)


def test_two_builds_are_one_sentence(monkeypatch):
    versions = {"faiss-cpu": "1.15.1", "faiss-gpu-cuvs": "1.15.1"}
    monkeypatch.setattr(faiss_search, "_version", versions.get)
    embeddings, labels = clustered(0)
    with pytest.raises(UserError, match="faiss-cpu and faiss-gpu-cuvs are installed") as caught:
        field_recall_at_1(embeddings, labels, "cpu")
    assert "`pip uninstall faiss-cpu faiss-gpu-cuvs`, then install one" in str(caught.value)
    versions.clear()
    assert faiss_search.installed_build() == ("faiss", "unknown")


class Index:
    """Stands in for an index on a GPU, and says where it was put."""

    def __init__(self, width, gpus=None):
        self.width, self.gpus, self.rows = width, gpus, None

    def train(self, rows):
        pass

    def add(self, rows):
        self.rows = rows

    def search(self, queries, count):
        cosines = queries @ self.rows.T
        return None, np.argsort(-cosines, axis=1)[:, :count]


def test_the_gpu_of_this_job_is_used_and_recorded(monkeypatch):
    put = []

    class Faiss:
        METRIC_INNER_PRODUCT = 0

        @staticmethod
        def get_num_gpus():
            return 4

        @staticmethod
        def index_factory(width, name, metric):
            return Index(width)

        @staticmethod
        def try_extract_index_ivf(index):
            return None

        @staticmethod
        def index_cpu_to_gpus_list(index, gpus):
            put.append(gpus)
            return index

    monkeypatch.setattr(faiss_search, "_faiss", lambda: Faiss)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 2)
    embeddings, labels = clustered(1, count=200)
    found, how = field_recall_at_1(embeddings, labels, "cuda")
    assert found == reference(embeddings, labels)
    assert put == [[2]]
    assert how["device"] == "cuda"
    assert field_recall_at_1(embeddings, labels, "cpu")[1]["device"] == "cpu"
    assert put == [[2]]


@pytest.mark.documents
def test_dropping_the_first_neighbour_loses_the_query_among_near_duplicates():
    """RS auxiliaries.py L115-123: the first of k + 1 neighbours is taken for the query itself."""
    import faiss

    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 512))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # Twins of another class, at distances of 1e-4: squared, below the resolution of float32 at 1.
    twins = rows + 1e-4 * generator.normal(size=rows.shape) / 512**0.5
    every = np.concatenate([rows, twins]).astype(np.float32)
    faiss.normalize_L2(every)
    assert (every[:400] != every[400:]).any(axis=1).all()
    index = faiss.IndexFlatL2(512)
    index.add(every)
    first = index.search(every, 2)[1][:, 0]
    assert (first != np.arange(800)).mean() > 0.1
    # The twin is the nearest other image of each, so no neighbour is right.
    labels = np.repeat([0, 1], 400)
    assert recall_at_k(every, labels, [1])[1] == 0
