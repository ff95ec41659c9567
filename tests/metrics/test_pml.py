"""The pytorch-metric-learning face, inside its real tester."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch.utils.data import TensorDataset

from tcmbench.common.errors import UserError
from tcmbench.metrics import evaluate_all_pairs, query_gallery_recall, recall_at_k
from tcmbench.metrics import pml as module
from tcmbench.metrics.pml import ConsistencyCalculator
from tests.metrics.references import clustered

CPU = torch.device("cpu")
ROWS, LABELS = clustered(7, count=150)
ROWS, LABELS = torch.from_numpy(ROWS).float(), torch.from_numpy(LABELS)
ALL = {"opis", "epsilon_opis", "recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8"}


def calculator(**options):
    return ConsistencyCalculator(device=CPU, **options)


def run_tester(calculator, datasets, plan=None):
    tester = GlobalEmbeddingSpaceTester(
        accuracy_calculator=calculator, dataloader_num_workers=0, data_device=CPU
    )
    return tester.test(datasets, 0, torch.nn.Identity(), splits_to_eval=plan)


def test_in_a_tester_where_query_is_reference():
    found = run_tester(calculator(), {"val": TensorDataset(ROWS, LABELS)})["val"]
    unit = torch.nn.functional.normalize(ROWS)
    expected = evaluate_all_pairs(unit, LABELS, (1, 2, 4, 8))
    for name in ("opis", "epsilon_opis"):
        assert found[f"{name}_level0"] == getattr(expected.consistency, name)
    for k, value in expected.recall.items():
        assert found[f"recall_at_{k}_level0"] == value
    assert {key.removesuffix("_level0") for key in found if key.endswith("_level0")} == ALL


def test_in_a_tester_with_a_gallery():
    datasets = {
        "query": TensorDataset(ROWS[:40], LABELS[:40]),
        "gallery": TensorDataset(ROWS[40:], LABELS[40:]),
    }
    mine = calculator(include=("recall_at_1", "recall_at_4"))
    found = run_tester(mine, datasets, [("query", ["gallery"])])["query"]
    expected = query_gallery_recall(ROWS[:40], LABELS[:40], ROWS[40:], LABELS[40:], (1, 4))
    for k, value in expected.items():
        assert found[f"recall_at_{k}_level0"] == value
    with pytest.raises(UserError, match="defined over the pairs of one set"):
        run_tester(calculator(), datasets, [("query", ["gallery"])])


def test_gallery_that_includes_the_queries():
    found = calculator(include=("recall_at_2",)).get_accuracy(
        ROWS[:40], LABELS[:40], ROWS, LABELS, ref_includes_query=True
    )
    own = np.arange(40)
    expected = query_gallery_recall(ROWS[:40], LABELS[:40], ROWS, LABELS, (2,), own=own)
    without = query_gallery_recall(ROWS[:40], LABELS[:40], ROWS, LABELS, (2,))
    assert found == {"recall_at_2": expected[2]}
    assert without[2] == 1.0 > expected[2]


def test_the_own_image_is_left_out_by_its_index():
    # Three copies of one image, two of a class: the parent may drop the wrong copy.
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    labels = torch.tensor([0, 1, 1, 2, 2])
    found = calculator(include=("recall_at_1",)).get_accuracy(rows, labels)
    # Image 0 misses; 1 and 2 see image 0 first, the lowest index; 3 and 4 hit.
    assert found == {"recall_at_1": 2 / 5}


def test_parents_metrics_beside_ours():
    include = ("opis", "precision_at_1", "mean_average_precision_at_r")
    found = calculator(include=include, k="max_bin_count").get_accuracy(ROWS, LABELS)
    parent = AccuracyCalculator(include=include[1:], k="max_bin_count", device=CPU)
    expected = parent.get_accuracy(torch.nn.functional.normalize(ROWS), LABELS)
    assert set(found) == set(include)
    for name in include[1:]:
        assert found[name] == expected[name]


def test_include_and_exclude():
    assert set(calculator().get_accuracy(ROWS, LABELS)) == ALL
    assert set(calculator(exclude=("opis",)).get_accuracy(ROWS, LABELS)) == ALL - {"opis"}
    found = calculator().get_accuracy(ROWS, LABELS, include=("recall_at_1",))
    assert found == {"recall_at_1": recall_at_k(ROWS, LABELS, (1,))[1]}
    with pytest.raises(ValueError, match="Primary metrics"):
        calculator(include=("recall_at_3",))
    assert set(calculator(recall_at=(3,)).get_accuracy(ROWS, LABELS)) == {
        "opis",
        "epsilon_opis",
        "recall_at_3",
    }


def test_ours_need_no_search_for_neighbours():
    def search(*_):
        pytest.fail("searched")

    calculator(knn_func=search).get_accuracy(ROWS, LABELS)


def test_one_pass_for_all(monkeypatch):
    calls = []

    def spied(*arguments, **options):
        calls.append(options)
        return evaluate_all_pairs(*arguments, **options)

    monkeypatch.setattr(module, "evaluate_all_pairs", spied)
    options = {"far_range": (0.02, 0.2), "beta": 2.0}
    found = calculator(opis_options=options).get_accuracy(ROWS, LABELS)
    assert calls == [options]
    assert found["opis"] == evaluate_all_pairs(ROWS, LABELS, **options).consistency.opis


def test_recall_alone_needs_no_negative_pair():
    found = calculator(include=("recall_at_1",)).get_accuracy(ROWS[:9], torch.zeros(9))
    assert found == {"recall_at_1": 1.0}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"avg_of_avgs": True}, "one number for all classes"),
        ({"return_per_class": True}, "one number for all classes"),
        ({"label_comparison_fn": torch.ne}, "labels for equality"),
    ],
)
def test_options_that_cannot_be_followed(options, sentence):
    with pytest.raises(UserError, match=sentence):
        calculator(**options)


def test_labels_that_float32_would_mix_up():
    assert calculator().get_accuracy(ROWS, LABELS + 2**24) == calculator().get_accuracy(
        ROWS, LABELS
    )
