"""The first steps of two processes are those of one with all of each batch, for every loss."""

import itertools

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
import yaml
from torch.nn.parallel import DistributedDataParallel

from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import Passes, backward
from tests.paths import ROOT
from tests.training.test_step import IMAGES, LABELS, MARGINS, Double

WORLD = 2
STEPS = 3
ENTRIES = yaml.safe_load((ROOT / "config.yaml").read_text())["losses"]
LOSSES = {
    name: LossSpec(name, entry["params"], class_path=entry.get("class"))
    for name, entry in ENTRIES.items()
}
# One pass, and two of them.
CASES = list(itertools.product(LOSSES, (False, True), (12, 4)))


def trained(case, rows, parallel):
    """Take some steps with these rows of each batch; return all terms and the weights."""
    loss, tcm, chunk = case
    model = Double()
    torch.manual_seed(2)
    sizes = {"num_classes": 4, "embedding_size": 16}
    objective = Objective(LOSSES[loss], MARGINS if tcm else None, sizes).double()
    network = DistributedDataParallel(model) if parallel else model
    optimizer = torch.optim.Adam([*model.parameters(), *objective.parameters()], lr=1e-3)
    terms = []
    for step in range(STEPS):
        optimizer.zero_grad()
        # Other images for the same labels in each step.
        images = IMAGES.roll(step, 0)
        passes = Passes(min(chunk, len(LABELS[rows])))
        found = backward(network, objective, images[rows], LABELS[rows], passes)
        optimizer.step()
        terms.append({name: value.item() for name, value in found.items()})
    weights = {**dict(model.named_parameters()), **dict(objective.named_parameters())}
    return terms, {name: value.detach() for name, value in weights.items()}


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=WORLD)
    half = slice(rank * 6, rank * 6 + 6)
    torch.save([trained(case, half, True) for case in CASES], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    torch.multiprocessing.spawn(work, (folder,), WORLD)
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda number: str(CASES[number]))
def test_first_steps(results, case):
    terms, weights = trained(CASES[case], slice(0, 12), False)
    assert terms[0]["total"] != terms[-1]["total"]
    for rank in range(WORLD):
        found, learned = results[rank][case]
        for one, other in zip(terms, found, strict=True):
            assert other == pytest.approx(one, rel=1e-6, abs=1e-9)
        for name, value in weights.items():
            torch.testing.assert_close(learned[name], value, rtol=1e-6, atol=1e-6)
