"""What a GPU refuses, notes and draws: the pretended one, and where there is one, the real one."""

import pytest
import torch
from torch import nn

from tests.cuda.watched import Watched

CUDA = torch.device("cuda", 0)
BOTH = "on the same device"


def test_values_and_gradients_are_those_of_the_processor(rules):
    torch.manual_seed(0)
    layer, rows = nn.Linear(5, 3), torch.randn(7, 5)
    layer(rows).tanh().square().sum().backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    layer.to(CUDA)
    assert layer.weight.is_cuda
    assert isinstance(layer.weight, nn.Parameter)
    layer(rows.to(CUDA)).tanh().square().sum().backward()
    assert layer.weight.grad.device == CUDA
    torch.testing.assert_close(layer.weight.grad.cpu(), expected)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda gpu, host: gpu + host,
        lambda gpu, host: host * gpu,
        lambda gpu, host: gpu @ host,
        lambda gpu, host: torch.cat([gpu, host]),
        lambda gpu, host: gpu.sum() + host,
        lambda gpu, host: host[gpu.argmax(1)],
        lambda gpu, host: gpu.gather(1, host.long()),
        lambda gpu, host: gpu.index_put_((torch.arange(2),), host[:2]),
        lambda gpu, host: torch.where(gpu > 0, host, 0.0),
        lambda gpu, host: torch.add(gpu, 1, out=host),
    ],
)
def test_tensors_of_two_devices_are_refused(rules, mixed):
    host = torch.ones(3, 3)
    with pytest.raises(RuntimeError, match=BOTH):
        mixed(host.to(CUDA), host)


def test_what_a_gpu_takes_from_the_host(rules):
    gpu = torch.arange(6.0, device=CUDA).view(2, 3)
    assert (gpu + torch.tensor(1.0)).device == CUDA
    assert gpu[:, torch.tensor([2, 0])].tolist() == [[2.0, 0.0], [5.0, 3.0]]
    gpu.copy_(torch.zeros(2, 3))
    assert gpu.sum().item() == 0


def test_numpy_and_pinning_want_the_host(rules):
    gpu = torch.ones(3, device=CUDA)
    with pytest.raises(TypeError, match="cuda:0"):
        gpu.numpy()
    with pytest.raises(RuntimeError, match="cannot pin"):
        gpu.pin_memory()


WAITS = {
    "item": lambda gpu, host: gpu.sum().item(),
    "if": lambda gpu, host: bool(gpu[0, 0]),
    "cpu": lambda gpu, host: gpu.cpu(),
    "tolist": lambda gpu, host: gpu.tolist(),
    "copy to the host": lambda gpu, host: host.copy_(gpu),
    "nonzero": lambda gpu, host: gpu.nonzero(),
    "unique": lambda gpu, host: gpu.unique(),
    "mask": lambda gpu, host: gpu[gpu > 0],
    "masked values": lambda gpu, host: gpu.index_put_((gpu > 2,), gpu[0, :1].clone()),
    "blocking": lambda gpu, host: host.pin_memory().to(CUDA),
    "not pinned": lambda gpu, host: host.to(CUDA, non_blocking=True),
    "numbers": lambda gpu, host: torch.tensor([1.0, 2.0], device=CUDA),
    "copy": lambda gpu, host: gpu.copy_(host),
}
RUNS_ON = {
    "arithmetic": lambda gpu, host: (gpu * 2 + 1).softmax(1).sum(),
    "pinned": lambda gpu, host: host.pin_memory().to(CUDA, non_blocking=True),
    "pinned from the start": lambda gpu, host: gpu.copy_(
        torch.zeros(2, 3, pin_memory=True), non_blocking=True
    ),
    "numbers as an index": lambda gpu, host: gpu[gpu[:, 0].long() * 0],
    "masked": lambda gpu, host: gpu.masked_fill_(gpu > 0, 1.0),
    "where": lambda gpu, host: torch.where(gpu > 0, gpu, 3),
    "new": lambda gpu, host: torch.zeros(3, device=CUDA),
    "type": lambda gpu, host: gpu.double(),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_noted(rules, name):
    if name == "not pinned" and isinstance(rules, Watched):
        pytest.skip("torch does not warn of it")
    gpu, host = torch.ones(2, 3, device=CUDA), torch.zeros(2, 3)
    assert rules.waits == []
    WAITS[name](gpu, host)
    assert len(rules.waits) == 1


@pytest.mark.parametrize("name", RUNS_ON)
def test_what_waits_for_nothing(rules, name):
    RUNS_ON[name](torch.ones(2, 3, device=CUDA), torch.zeros(2, 3))
    assert rules.waits == []


def test_random_numbers_are_the_gpus_own(rules):
    torch.manual_seed(3)
    host = torch.rand(2)
    torch.manual_seed(3)
    state = torch.cuda.get_rng_state()
    first = torch.rand(2, device=CUDA)
    # Neither generator moves the other.
    assert torch.equal(torch.rand(2), host)
    second = nn.functional.dropout(torch.ones(40, device=CUDA))
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.rand(2, device=CUDA), first)
    assert torch.equal(nn.functional.dropout(torch.ones(40, device=CUDA)), second)
    with pytest.raises(RuntimeError, match="'cuda' device type for generator"):
        torch.rand(2, device=CUDA, generator=torch.Generator())


def test_memory_is_counted_while_it_is_held(rules):
    # In the 512 bytes that a GPU's memory comes in.
    first = torch.zeros(1024, device=CUDA)
    view, second = first[:10], torch.zeros(512, device=CUDA)
    assert rules.memory == 6144
    del first, second
    assert (rules.memory, rules.peak) == (4096, 6144)
    assert torch.cuda.max_memory_allocated() >= 6144
    del view
    assert rules.memory == 0


def test_half_precision_is_as_autocast_says(rules):
    layer = nn.Linear(4, 4).to(CUDA)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        found = layer(torch.ones(2, 4, device=CUDA))
        assert found.dtype == torch.bfloat16
        assert found.softmax(1).dtype == torch.float32  # autocast's rule on a GPU
