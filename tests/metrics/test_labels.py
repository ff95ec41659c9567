"""Labels of every type that people bring: the numbers of int64, or a refusal, at every face."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from tcmbench.advisor import advise
from tcmbench.common.errors import UserError
from tcmbench.metrics import (
    evaluate_all_pairs,
    map_at_r,
    query_gallery_error_rates,
    query_gallery_recall,
)
from tcmbench.metrics.class_recall import class_recall
from tcmbench.metrics.engine.labels import checked_labels, joined
from tcmbench.metrics.modular import ThresholdConsistency
from tcmbench.metrics.pml import ConsistencyCalculator
from tcmbench.metrics.search.approximate import approximate_retrieval
from tests.metrics.references import clustered

ROWS, LABELS = clustered(4, count=60)
HALF = len(LABELS) // 2
OPTIONS = {"far_range": (0.05, 0.3)}


def evaluated(labels):
    found = evaluate_all_pairs(ROWS, labels, (1, 2), **OPTIONS)
    return found.consistency.opis, found.recall, class_recall(ROWS, labels).recall_at_1.tolist()


def searched(labels):
    found = approximate_retrieval(ROWS, labels, (1, 2), sample=5)
    return found.recall, found.map_at_r, map_at_r(ROWS, labels)


def in_a_gallery(labels):
    sets = ROWS[:HALF], labels[:HALF], ROWS[HALF:], labels[HALF:]
    rates = query_gallery_error_rates(*sets, thresholds=[0.9])
    return query_gallery_recall(*sets, (1,)), rates.far.tolist(), rates.num_positives


def by_torchmetrics(labels):
    metric = ThresholdConsistency((1,), **OPTIONS)
    for part in (slice(0, HALF), slice(HALF, None)):
        metric.update(torch.from_numpy(ROWS[part]), labels[part])
    return {name: float(value) for name, value in metric.compute().items()}


def by_pml(labels):
    calculator = ConsistencyCalculator(
        ("opis", "recall_at_1"), opis_options=OPTIONS, device=torch.device("cpu")
    )
    one = calculator.get_accuracy(ROWS, labels)
    sets = ROWS[:HALF], labels[:HALF], ROWS[HALF:], labels[HALF:]
    return one, calculator.get_accuracy(*sets, include=("recall_at_1",))


def advised(labels):
    found = advise(ROWS, labels, far=0.05)
    return found.distance, found.rates, [row.label for row in found.worst["far"]]


FACES = [evaluated, searched, in_a_gallery, by_torchmetrics, by_pml, advised]
TYPES = {
    "uint64": LABELS.astype(np.uint64),
    "uint8": LABELS.astype(np.uint8),
    "big-endian": LABELS.astype(">i4"),
    "big-endian unsigned": LABELS.astype(">u8"),
    "objects": LABELS.astype(object),
    "torch.uint8": torch.from_numpy(LABELS).to(torch.uint8),
    "torch.uint64": torch.from_numpy(LABELS).to(torch.uint64),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("labels", TYPES.values(), ids=TYPES)
def test_the_type_changes_nothing(face, labels):
    assert face(labels) == face(LABELS)


@pytest.mark.parametrize("face", FACES[:-1])
def test_neighbours_beyond_float64_stay_apart(face):
    """Above 2^53 every second integer is no float64."""
    assert face(LABELS + 2**53) == face(LABELS)
    assert face((LABELS + 2**53).astype(np.uint64)) == face(LABELS)


@pytest.mark.parametrize("face", [*FACES[:3], by_pml])
def test_beyond_int64(face):
    assert face(LABELS.astype(np.uint64) + np.uint64(2**63)) == face(LABELS)
    assert face(LABELS.astype(object) + 2**63) == face(LABELS)


def test_the_advisor_names_labels_beyond_int64():
    large = LABELS.astype(np.uint64) + np.uint64(2**63)
    assert advised(large)[2] == [label + 2**63 for label in advised(LABELS)[2]]


def test_torchmetrics_refuses_what_int64_cannot_hold():
    with pytest.raises(UserError, match="labels reach 9223372036854775817, and torch gathers"):
        ThresholdConsistency().update(torch.eye(2), np.array([1, 2**63 + 9], np.uint64))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array(["cat", "dog"]), "labels are <U3; number the classes with integers"),
        (np.array([b"cat", b"dog"]), "labels are |S3; number"),
        (np.array([7, "dog"], dtype=object), "labels hold 'dog' (str) in row 1; number"),
        (np.array([7, None], dtype=object), "labels hold None (NoneType) in row 1"),
        (np.array([7, 2.5], dtype=object), "labels hold 2.5 (float) in row 1"),
        (np.array([7, True], dtype=object), "labels hold True (bool) in row 1"),
        (np.array([True, False]), "labels are bool"),
        (np.array([1.0, np.nan]), "labels are float64"),
        (np.array([1.0, 2.0]), "labels are float64"),
        (np.array([0, 2**64], dtype=object), "from 0 to 18446744073709551616, and no 64-bit type"),
        (np.array([-1, 2**63], dtype=object), "from -1 to 9223372036854775808, and no 64-bit type"),
        (torch.tensor([1, 2], dtype=torch.bfloat16), "labels are torch.bfloat16"),
        (np.array(["2024-01-01", "2024-01-02"], "M8[D]"), "labels are datetime64[D]"),
    ],
)
def test_what_is_no_integer_is_refused(labels, sentence):
    for face in (
        lambda: evaluate_all_pairs(np.eye(2), labels),
        lambda: ThresholdConsistency().update(torch.eye(2), labels),
        lambda: query_gallery_recall(np.eye(2), labels, np.eye(2), labels),
    ):
        with pytest.raises(UserError) as caught:
            face()
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (np.array([1.0, 1.5]), "1.5 in row 1"),
        (np.array([np.nan, 1.0]), "nan in row 0"),
        (np.array([1.0, -np.inf]), "-inf in row 1"),
        # 16,777,217 in float32: it may have been either.
        (np.array([1, 2**24 + 1], np.float32), "1.67772e+07 in row 1"),
        (np.array([1, 2048], np.float16), "2048 in row 1"),
    ],
)
def test_floats_that_are_no_sure_integers(labels, shown):
    with pytest.raises(UserError, match=f"^labels hold {shown.replace('+', '.')}, which is no"):
        checked_labels(labels, 2, whole_floats=True)
    with pytest.raises(UserError, match=shown.replace("+", ".")):
        ConsistencyCalculator(device=torch.device("cpu")).get_accuracy(np.eye(2), labels)


def test_whole_floats_where_pytorch_metric_learning_takes_them():
    assert by_pml(LABELS.astype(np.float64)) == by_pml(LABELS)
    assert checked_labels(np.array([-2.0, 2047], np.float16), 2, whole_floats=True).tolist() == [
        -2,
        2047,
    ]


def test_a_signed_and_an_unsigned_set_meet():
    signed, unsigned = LABELS[:HALF] + 2**53, (LABELS[HALF:] + 2**53).astype(np.uint64)
    sets = ROWS[:HALF], signed, ROWS[HALF:], unsigned
    rates = query_gallery_error_rates(*sets, thresholds=[0.9])
    found = query_gallery_recall(*sets, (1,)), rates.far.tolist(), rates.num_positives
    assert found == in_a_gallery(LABELS)
    large = unsigned + np.uint64(2**63)
    assert query_gallery_recall(ROWS[:HALF], signed, ROWS[HALF:], large, (60,)) == {60: 0.0}
    with pytest.raises(UserError, match="no 64-bit type holds both"):
        query_gallery_recall(ROWS[:HALF], -signed, ROWS[HALF:], large)


def test_joined_by_hand():
    small = joined(np.array([-1, 2**53 + 1]), np.array([2**53, 5], np.uint64))
    assert small.tolist() == [-1, 5, 2**53, 2**53 + 1]
    large = joined(np.array([3]), np.array([2**64 - 1], np.uint64))
    assert large.tolist() == [3, 2**64 - 1]


def test_the_ends_of_the_types():
    for ends in ([-(2**63), 2**63 - 1], [0, 2**64 - 1]):
        assert checked_labels(np.array(ends, dtype=object), 2).tolist() == ends


def test_own_is_compared_by_class_across_types():
    labels = LABELS + 2**53
    own = np.arange(len(labels))
    sets = ROWS, labels, ROWS, labels.astype(np.uint64)
    assert query_gallery_recall(*sets, (1,), own=own)[1] == evaluated(LABELS)[1][1]
    with pytest.raises(UserError, match="differ in label"):
        query_gallery_recall(*sets[:3], labels.astype(np.uint64) + np.uint64(1), own=own)


def test_the_parents_neighbours_are_those_of_unit_rows():
    """Long rows are near to nothing by distance, and as near as any by cosine."""
    scale = 10.0 ** np.random.default_rng(0).integers(-2, 3, size=(len(LABELS), 1))
    rows = (ROWS * scale).astype(np.float32)
    device = torch.device("cpu")
    ours = ConsistencyCalculator(("precision_at_1", "recall_at_1"), device=device)
    found = ours.get_accuracy(rows, LABELS)
    parent = AccuracyCalculator(("precision_at_1",), device=device)
    alone = np.bincount(LABELS)[LABELS] == 1
    assert found["precision_at_1"] * (~alone).sum() == pytest.approx(
        found["recall_at_1"] * len(LABELS)
    )
    assert parent.get_accuracy(rows, LABELS)["precision_at_1"] != found["precision_at_1"]
