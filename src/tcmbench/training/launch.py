"""The processes of a training that takes several, started by the engine behind torchrun."""

import logging
import sys
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tcmbench.common.devices import claim_visible
from tcmbench.common.errors import UserError
from tcmbench.training.journal import Watching
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings


def launch(settings: Settings, folder: Path, device: str, resume: bool, watching: Watching) -> None:
    """Train as `train` does, in as many processes as the settings ask for.

    Each has a GPU of its own, or a share of the processor. A process that torchrun started already
    is one of them.

    Raises:
        UserError: fewer GPUs are visible than processes are wanted, or what `train` refuses.
        SystemExit: with the code of the process that failed first, or of the signal that ended it.
    """
    processes = settings.compute.processes or 1
    if processes == 1 or dist.is_torchelastic_launched():
        train(settings, folder, device, resume, watching)
        return
    if device == "cuda" or (device == "auto" and torch.cuda.device_count()):
        claim_visible(processes)
    # What failed is said once, below.
    for name in ("torch.distributed.elastic", "torch.multiprocessing.spawn"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with TemporaryDirectory() as notes:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            # Else they would meet under the machine's name, which in a container nothing may know.
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(notes),
        )
        try:
            elastic_launch(config, _work)(settings, folder, device, resume, watching)
        except ChildFailedError as error:
            _leave(error.get_first_failure()[1])
        except SignalException as error:
            sys.exit(128 + error.sigval)


def _work(settings: Settings, folder: Path, device: str, resume: bool, watching: Watching) -> None:
    """Train in one of the processes; Ctrl-C has the exit code that it has elsewhere."""
    try:
        train(settings, folder, device, resume, watching)
    except KeyboardInterrupt:
        sys.exit(130)


def _leave(failure: ProcessFailure) -> None:
    """Leave as the process did that failed first: with its sentence, its traceback, its code."""
    told: Any = failure.message
    if isinstance(told, dict):
        kind, _, sentence = told["message"].partition(": ")
        if kind == UserError.__name__:
            raise UserError(sentence)
        print(told["extraInfo"]["py_callstack"], file=sys.stderr)
    sys.exit(failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode)
