"""Two processes with half a batch each have the gradients of one process with all of it."""

import itertools

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel

from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import Passes, backward
from tests.training.test_step import IMAGES, LABELS, MARGINS, Double, gradients_of

WORLD = 2
LOSSES = ("smooth_ap", "recall_at_k")
# One pass; two passes with a chunk left over; two passes with a chunk kept.
PASSES = (Passes(12), Passes(4), Passes(4, 1), Passes(2, 2))
CASES = list(itertools.product(LOSSES, (False, True), PASSES))


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=WORLD)
    half = slice(rank * 6, rank * 6 + 6)
    found = []
    for loss, tcm, passes in CASES:
        model = Double()
        parallel = DistributedDataParallel(model)
        exchanges = []
        parallel.register_comm_hook(exchanges, counted)
        objective = Objective(LossSpec(loss, {}), MARGINS if tcm else None)
        terms = backward(parallel, objective, IMAGES[half], LABELS[half], passes)
        found.append((terms, gradients_of(model), len(exchanges), model.sizes))
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def counted(exchanges, bucket):
    """Average as DistributedDataParallel does by itself, and note the last bucket of each time."""
    if bucket.is_last():
        exchanges.append(1)
    work = dist.all_reduce(bucket.buffer().div_(WORLD), async_op=True).get_future()
    return work.then(lambda done: done.value()[0])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    torch.multiprocessing.spawn(work, (folder,), WORLD)
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_joint_batch(results, case):
    loss, tcm, passes = CASES[case]
    model = Double()
    objective = Objective(LossSpec(loss, {}), MARGINS if tcm else None)
    terms = backward(model, objective, IMAGES, LABELS, Passes(12))
    for rank in range(WORLD):
        found, gradients, exchanges, sizes = results[rank][case]
        assert found.keys() == terms.keys()
        for name, term in terms.items():
            assert found[name].item() == pytest.approx(term.item(), abs=1e-10)
        for name, gradient in gradients_of(model).items():
            assert torch.allclose(gradient, gradients[name], rtol=0, atol=1e-10), name
        assert exchanges == 1
        assert max(sizes) == min(passes.chunk_size, 6)
