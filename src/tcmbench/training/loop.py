"""One training from settings to `model.safetensors` and `run.json`."""

import gc
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tcmbench.common.provenance import write_record
from tcmbench.models.network import save_tensors
from tcmbench.training import checkpoint, rng
from tcmbench.training.chunk import Chunk
from tcmbench.training.course import Course
from tcmbench.training.crew import ALONE, Crew, alone_in, assembled
from tcmbench.training.data import Batch, TrainingData
from tcmbench.training.engine import Engine
from tcmbench.training.failures import explained, not_finite
from tcmbench.training.halving import run_in_memory
from tcmbench.training.journal import NAME as LOG
from tcmbench.training.journal import Journal, Silence, Watching
from tcmbench.training.objective import ACTIVE
from tcmbench.training.record import IDENTITY, describe, is_finished
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop

WATCHING = Watching()

# What a training writes into its folder.
FILES = ("model.safetensors", "run.json", checkpoint.NAME, LOG)


def train(
    settings: Settings,
    folder: Path,
    device: str = "auto",
    resume: bool = False,
    watching: Watching = WATCHING,
) -> None:
    """Train one model and write `model.safetensors` and `run.json` into `folder`.

    The weights are those after the last epoch; test images are never looked at. Called in several
    processes by torchrun, they share each batch and take the step of one process with all of it.
    One training at a time has a folder: a second one waits, and returns at once if it then finds
    its own run finished.

    Args:
        settings: the run.
        folder: where the results go; `last.ckpt` lives there while the training runs.
        device: where the network runs: `auto`, `cpu` or `cuda`, see `Crew.claim`.
        resume: continue from `last.ckpt` where it belongs to the same settings and inputs.
        watching: intervals of the log and of the checkpoint.

    Raises:
        UserError: settings or inputs that cannot be trained on, said before a GPU is taken; a
            loss that is not finite, or a lack of memory.
        SystemExit: the process was asked to end by SIGTERM, and the state is saved.
    """
    with explained(settings), assembled(settings.compute.processes) as crew:
        # Refused, if it is to be, before a folder is made for the lock.
        data = TrainingData(settings, crew)
        with alone_in(folder, crew), Stop(crew) as stop:
            training = Training(settings, folder, device, watching, crew, data)
            if training.finished():
                return
            if resume:
                training.resume()
            elif crew.leads:
                checkpoint.set_aside(folder, "is not continued without --resume")
            run_in_memory(training, stop)
            training.finish()


class Training:
    """A training at some place of its course, and the folder it is kept in."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        device: str,
        watching: Watching = WATCHING,
        crew: Crew = ALONE,
        data: TrainingData | None = None,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.watching = watching
        self.crew = crew
        self.data = data or TrainingData(settings, crew)
        self.device = crew.claim(device)
        folder.mkdir(parents=True, exist_ok=True)
        self.course = Course(self.device)
        self.engine = Engine(settings, self.data.num_classes, self.device, crew)
        self.identity = checkpoint.identity(settings, self.device, self.engine.precision, crew)
        self._random: dict[str, Any] | None = None
        self._resumable = False
        self._saved = time.monotonic()

    def finished(self) -> bool:
        """Say whether the folder holds the whole of this very run already."""
        done = self.crew.leads and is_finished(self.folder, self.identity)
        return self.crew.all(done)[0]

    def resume(self) -> None:
        """Continue from `last.ckpt` if it is there and of this run."""
        state = checkpoint.restore(self.folder, self.identity) if self.crew.leads else None
        # The others look only where the first did not set it aside.
        found = self.crew.all(state is not None)[0]
        if found and not self.crew.leads:
            state = checkpoint.restore(self.folder, self.identity)
        if state is not None:
            self.engine.load_state(state["engine"])
            self.course.load_state(state["course"])
            self._random = state["random"][self.crew.rank]
            self._resumable = True

    def restart(self, chunk: Chunk) -> None:
        """Go back to the last checkpoint, or to the start, with another chunk."""
        # A step that broke off may have changed anything; its memory is needed before new is taken.
        del self.engine, self.course
        gc.collect()
        torch.cuda.empty_cache()
        self.course = Course(self.device)
        classes = self.data.num_classes
        self.engine = Engine(self.settings, classes, self.device, self.crew, chunk)
        if self._resumable:
            self.resume()

    def run(self, stop: Stop) -> None:
        """Take all steps that are left."""
        course = self.course
        course.pause()
        course.note_chunk(self.engine.chunk)
        journal = self._journal()
        for batch, images, labels in self.data.batches(course.epoch, course.step, self.device):
            self._set_random(batch)
            watched = batch.last or journal.due()
            terms = self.engine.step(images, labels, watched)
            course.add(terms, batch.images)
            if watched or self.device.type == "cpu":  # where nothing has to wait for a GPU
                self._check(batch)
            if watched:
                values = {name: float(term) for name, term in terms.items()}
                journal.row(course, batch, values | self.engine.scaling.counted())
            if batch.last:
                self._end_epoch(journal, terms)
            stopped, due = self.crew.highest(stop.signal, self._due())
            if batch.last or stopped or due:
                self._save(batch)
            if stopped:
                journal.close()
                stop.leave(stopped, _place(batch.epoch, batch.step))
        journal.close()

    def finish(self) -> None:
        """Write the results; they take the checkpoint's place."""
        if not self.crew.leads:
            return
        weights = self.folder / "model.safetensors"
        save_tensors(self.engine.model, weights)
        self.course.pause()
        record = describe(self.settings, self.engine, self.course, self.data, weights)
        write_record(self.folder / "run.json", record | {IDENTITY: self.identity})
        checkpoint.remove(self.folder)

    def _journal(self) -> Journal | Silence:
        if not self.crew.leads:
            return Silence()
        epochs = self.settings.optimization.epochs
        return Journal(self.folder, self.watching, self.course, epochs)

    def _set_random(self, batch: Batch) -> None:
        """Set the random numbers of a step that begins an epoch or that a resumed one begins with.

        Only now, since starting the loader has drawn from them.
        """
        if batch.step == 0:
            self.engine.begin_epoch(batch.epoch)
        elif self._random is not None:
            rng.set_state(self._random, self.device)
        self._random = None

    def _check(self, batch: Batch) -> None:
        """Refuse to go on with a loss that is no number; waits for the device."""
        failure = self.course.failure()
        if failure is not None:
            step, loss = failure
            told = self.data.told(self.data.plan(batch.epoch)[step])
            raise not_finite(
                f"the loss became {loss}", _place(batch.epoch, step), told, self.settings
            )

    def _end_epoch(self, journal: Journal | Silence, terms: dict[str, Tensor]) -> None:
        active = {name: float(terms[name]) for name in ACTIVE if name in terms}
        self.course.end_epoch(active)
        self.engine.scheduler.step()
        journal.epoch(self.course.curve)

    def _save(self, batch: Batch) -> None:
        # A loss since the last line comes first: it is why weights are no numbers.
        self._check(batch)
        # The loss before a step says nothing of the weights after it.
        if not self.engine.is_finite():
            told = self.data.told(batch.rows)
            place = _place(batch.epoch, batch.step)
            raise not_finite("the weights are no longer finite", place, told, self.settings)
        state = {
            "engine": self.engine.state(),
            "course": self.course.state(),
            "random": self.crew.all(rng.state(self.device)),
        }
        if self.crew.leads:
            checkpoint.save(self.folder, self.identity, state)
        self._resumable = True
        self.course.pause()
        self._saved = time.monotonic()

    def _due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self.watching.checkpoint_minutes


def _place(epoch: int, step: int) -> str:
    return f"epoch {epoch + 1}, step {step + 1}"
