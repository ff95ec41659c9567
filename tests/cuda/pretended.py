"""A CUDA device that is not there: `with gpu() as rules` makes torch believe in cuda:0."""

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch

from tests.cuda.rules import Rules
from tests.cuda.tensors import pin

DRIVER = Path(__file__).with_name("driver.cpp")
MEMORY = 80 * 10**9


@contextmanager
def gpu() -> Iterator[Rules]:
    """Let torch have one GPU, whose memory, random numbers and host waits the rules hold."""
    rules = Rules()
    answers = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "_lazy_init": lambda: None,
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_capability": lambda device=None: (8, 0),
        "is_current_stream_capturing": lambda: False,
        "get_rng_state": lambda device="cuda": rules.generator.get_state(),
        "set_rng_state": lambda state, device="cuda": rules.generator.set_state(state),
        "manual_seed": rules.generator.manual_seed,
        "manual_seed_all": rules.generator.manual_seed,
        "synchronize": lambda device=None: None,
        "max_memory_allocated": lambda device=None: rules.peak,
        "mem_get_info": lambda device=None: (MEMORY - rules.memory, MEMORY),
        "get_device_name": lambda device=None: "a pretended GPU",
    }
    driver = _driver()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(torch.cuda, **answers))
        stack.enter_context(mock.patch.multiple(torch.accelerator, is_available=lambda: True))
        stack.enter_context(mock.patch.multiple(torch.Tensor, pin_memory=pin))
        # torch.tensor(..., device="cuda") then makes its numbers on the host and copies them.
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)
        # In this thread, where the rules apply.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.callback(driver.pretend, False)
        driver.pretend(True)
        stack.enter_context(rules)
        yield rules


@functools.cache
def _driver() -> ctypes.CDLL:
    torch_folder = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "driver.so"
        words = ["g++", "-std=c++20", "-fPIC", "-shared", f"-I{torch_folder}/include", str(DRIVER)]
        words += ["-o", str(library), f"-L{torch_folder}/lib", "-lc10", "-ltorch_cpu"]
        subprocess.run(words, check=True)
        return ctypes.CDLL(str(library))
