"""A compiled network, on the processor: the numbers of the one that is not compiled."""

import pytest
import torch
import torch._inductor.config
from torch import nn

from tcmbench.training.engine import compiled
from tcmbench.training.objective import Objective
from tcmbench.training.settings import LossSpec
from tcmbench.training.step import Passes, backward
from tests.training.test_step import IMAGES, LABELS, MARGINS, Chancy, assert_equal, gradients_of


@pytest.fixture
def quick_compiler():
    """Compile little: headers prepared in advance take longer than the few kernels here."""
    torch._dynamo.reset()
    changes = {
        "cpp_cache_precompile_headers": False,
        "cpp.simdlen": 1,
        "fallback_random": False,
    }
    # Not monkeypatch, whose way back hides an entry from the rest of the process.
    with torch._inductor.config.patch(changes):
        yield


def gradients(embed, network, kept):
    objective = Objective(LossSpec("smooth_ap", {}), MARGINS)
    torch.manual_seed(5)
    backward(embed, objective, IMAGES, LABELS, Passes(6, kept))
    return gradients_of(network)


def test_dropout_is_the_same_in_both_passes(quick_compiler):
    plain, network = Chancy(), Chancy()
    embed = compiled(network)
    assert isinstance(embed, nn.Module)
    assert_equal(gradients(plain, plain, 0), gradients(embed, network, 0))
    network.zero_grad()
    assert_equal(gradients_of(plain), gradients(embed, network, 1))
