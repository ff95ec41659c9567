"""The torchmetrics face: the same numbers as the functions, also from two processes."""

import pickle
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection

from tcmbench.common.errors import UserError
from tcmbench.metrics import opis, recall_at_k
from tcmbench.metrics.modular import ThresholdConsistency
from tests.metrics.references import clustered

mpl.use("agg")
SRC = Path(sys.modules["tcmbench"].__file__).parents[1]
ROWS, LABELS = clustered(2, count=200)
EMBEDDINGS, LABELS = torch.from_numpy(ROWS).float(), torch.from_numpy(LABELS)


def expected(embeddings=EMBEDDINGS, labels=LABELS, k=(1, 2, 4, 8), **options):
    found = opis(embeddings, labels, **options)
    names = ("opis", "epsilon_opis", "d_min", "d_max")
    values = {name: getattr(found, name) for name in names}
    recall = recall_at_k(embeddings, labels, k)
    return values | {f"recall_at_{number}": value for number, value in recall.items()}


def updated(metric, order=None, size=33):
    order = torch.arange(len(LABELS)) if order is None else order
    for part in order.split(size):
        metric.update(EMBEDDINGS[part], LABELS[part])
    return metric


def values(metric):
    return {name: float(value) for name, value in metric.compute().items()}


def test_equals_the_functions():
    assert values(updated(ThresholdConsistency())) == expected()


def test_options_reach_the_function():
    options = {"beta": 2.0, "epsilon": 0.3, "num_thresholds": 11}
    metric = ThresholdConsistency((3,), (0.02, 0.2), **options)
    assert values(updated(metric)) == expected(k=(3,), far_range=(0.02, 0.2), **options)
    metric = ThresholdConsistency((), frr_range=(0.1, 0.4))
    assert values(updated(metric)) == expected(k=(), frr_range=(0.1, 0.4))


@pytest.mark.parametrize("seed", range(3))
def test_order_of_updates_is_irrelevant(seed):
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(LABELS)))
    found = values(updated(ThresholdConsistency(), order, size=17))
    assert found == pytest.approx(values(updated(ThresholdConsistency())), abs=1e-6)


def test_half_precision_is_kept_and_not_rounded_again():
    metric = ThresholdConsistency()
    half = EMBEDDINGS.half()
    metric.update(half[:90], LABELS[:90])
    metric.update(half[90:], LABELS[90:])
    assert {part.dtype for part in metric.embeddings} == {torch.float16}
    assert values(metric) == expected(half)


def test_reset_and_gradients():
    metric = ThresholdConsistency()
    metric.update(EMBEDDINGS[:50].requires_grad_(), LABELS[:50])
    assert not metric.embeddings[0].requires_grad
    metric.reset()
    assert metric.embeddings == []
    assert values(updated(metric)) == expected()


def test_pickle_keeps_what_was_seen():
    metric = pickle.loads(pickle.dumps(updated(ThresholdConsistency(k=(1,)))))
    assert values(metric) == expected(k=(1,))


def test_in_a_collection_with_shared_states():
    collection = MetricCollection(
        {
            "far": ThresholdConsistency((1,)),
            "wide": ThresholdConsistency((), far_range=(0.05, 0.3)),
        },
    )
    for part in torch.arange(len(LABELS)).split(50):
        collection.update(EMBEDDINGS[part], LABELS[part])
    found = {name: float(value) for name, value in collection.compute().items()}
    far, wide = expected(k=(1,)), expected(k=(), far_range=(0.05, 0.3))
    assert found["far_recall_at_1"] == far["recall_at_1"]
    assert found["far_opis"] == far["opis"]
    assert found["wide_opis"] == wide["opis"] != far["opis"]


def test_plot():
    metric = updated(ThresholdConsistency())
    figure, axes = metric.plot()
    assert isinstance(figure, mpl.figure.Figure)
    assert len(axes.get_lines()) == len(expected())
    steps = [metric.compute(), metric.compute(), metric.compute()]
    axes = metric.plot(steps)[1]
    line = axes.get_lines()[0]
    assert len(line.get_ydata()) == 3


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_unusable_batches_are_named():
    metric = ThresholdConsistency()
    with pytest.raises(UserError, match="call update before compute"):
        metric.compute()
    metric.update(EMBEDDINGS[:5], torch.zeros(5, dtype=torch.long))
    with pytest.raises(UserError, match="all images have the label 0"):
        metric.compute()


def test_an_empty_batch_is_passed_over():
    metric = updated(ThresholdConsistency())
    metric.update(EMBEDDINGS[:0], torch.tensor([]))
    assert values(metric) == expected()


def test_a_batch_with_a_label_missing_is_named_at_once():
    with pytest.raises(UserError, match=r"labels have shape \(4,\) but there are 5 embeddings"):
        ThresholdConsistency().update(EMBEDDINGS[:5], LABELS[:4])


WORKER = """
import sys
import numpy as np, torch, torch.distributed as dist
from tcmbench.metrics.modular import ThresholdConsistency

rank, store, data = int(sys.argv[1]), sys.argv[2], np.load(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
rows, labels = torch.from_numpy(data["rows"]), torch.from_numpy(data["labels"])
metric = ThresholdConsistency()
own, share = np.array_split(np.arange(len(labels)), 3), sys.argv[4]
# Shares of unequal size, in unequal batches.
mine = torch.from_numpy(np.concatenate({
    "unequal": ((own[0], own[2]), (own[1],)),
    "one": (tuple(own), (own[0][:0],)),
    "none": ((own[0][:0],), (own[0][:0],)),
}[share][rank]))
for part in mine.split(19 + rank):
    metric.update(rows[part], labels[part])
if share == "none":
    from tcmbench.common.errors import UserError
    try:
        metric.compute()
    except UserError as error:
        print(repr(str(error)))
    sys.exit()
found = metric.compute()
batches = len(mine.split(19 + rank)) if len(mine) else 0
assert len(metric.embeddings) == batches, "the process's own share must come back after the sync"
if rank == 0:
    print({name: float(value) for name, value in found.items()})
dist.destroy_process_group()
"""


def two_processes(folder, rows, share):
    """Return what the first of two processes prints."""
    np.savez(folder / "data.npz", rows=rows, labels=LABELS.numpy())
    arguments = [str(folder / "store"), str(folder / "data.npz"), share]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        )
        for rank in range(2)
    ]
    outputs = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    return eval(outputs[0][0])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("share", ["unequal", "one"])
def test_two_processes_equal_one(tmp_path, dtype, share):
    """Also where the second process saw no image."""
    rows = EMBEDDINGS.numpy().astype(dtype)
    found = two_processes(tmp_path, rows, share)
    assert found == pytest.approx(expected(torch.from_numpy(rows)), abs=1e-6)


def test_two_processes_without_an_image(tmp_path):
    said = two_processes(tmp_path, EMBEDDINGS.numpy(), "none")
    assert said == "no image was seen since the last reset; call update before compute"


@pytest.mark.parametrize("name", ["torchmetrics", "pytorch_metric_learning"])
def test_missing_package_in_one_sentence(name, monkeypatch):
    module = {"torchmetrics": "modular", "pytorch_metric_learning": "pml"}[name]
    program = (
        f"import sys; sys.modules[{name!r}] = None\n"
        "import tcmbench.metrics\n"
        f"import tcmbench.metrics.{module}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: tcmbench.metrics.{module} needs {name.replace('_', '-')}")
    assert "pip install" in last
