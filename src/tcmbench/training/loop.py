"""One training from settings to `model.safetensors` and `run.json`."""

import time
from pathlib import Path
from typing import Any

from torch import Tensor

from tcmbench.devices import claim_device
from tcmbench.files import write_json
from tcmbench.models import save_tensors
from tcmbench.training import checkpoint, rng
from tcmbench.training.course import Course
from tcmbench.training.data import Batch, TrainingData
from tcmbench.training.engine import Engine
from tcmbench.training.failures import explained, not_finite
from tcmbench.training.journal import Journal, Watching
from tcmbench.training.objective import ACTIVE
from tcmbench.training.record import describe
from tcmbench.training.settings import Settings
from tcmbench.training.stop import Stop

WATCHING = Watching()


def train(
    settings: Settings,
    folder: Path,
    device: str = "auto",
    resume: bool = False,
    watching: Watching = WATCHING,
) -> None:
    """Train one model and write `model.safetensors` and `run.json` into `folder`.

    The weights are those after the last epoch; test images are never looked at.

    Args:
        settings: the run.
        folder: where the results go; `last.ckpt` lives there while the training runs.
        device: where the network runs: `auto`, `cpu` or `cuda`, see `claim_device`.
        resume: continue from `last.ckpt` where it belongs to the same settings and inputs.
        watching: intervals of the log and of the checkpoint.

    Raises:
        UserError: settings or inputs that cannot be trained on, said before a GPU is taken; a
            loss that is not finite, or a lack of memory.
        SystemExit: the process was asked to end by SIGTERM, and the state is saved.
    """
    with explained(settings), Stop() as stop:
        training = Training(settings, folder, device, watching)
        if resume:
            training.resume()
        training.run(stop)
        training.finish()


class Training:
    """A training at some place of its course, and the folder it is kept in."""

    def __init__(
        self, settings: Settings, folder: Path, device: str, watching: Watching = WATCHING
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.watching = watching
        self.data = TrainingData(settings)
        self.device = claim_device(device)
        folder.mkdir(parents=True, exist_ok=True)
        self.course = Course(self.device)
        self.engine = Engine(settings, self.data.num_classes, self.device)
        self.identity = checkpoint.identity(settings, self.device, self.engine.precision)
        self._random: dict[str, Any] | None = None
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Continue from `last.ckpt` if it is there and of this run."""
        state = checkpoint.restore(self.folder, self.identity)
        if state is not None:
            self.engine.load_state(state["engine"])
            self.course.load_state(state["course"])
            self._random = state["random"]

    def run(self, stop: Stop) -> None:
        """Take all steps that are left."""
        course = self.course
        course.pause()
        journal = Journal(self.folder, self.watching, course, self.settings.optimization.epochs)
        for batch, images, labels in self.data.batches(course.epoch, course.step, self.device):
            self._set_random(batch)
            watched = batch.last or journal.due()
            terms = self.engine.step(images, labels, watched)
            course.add(terms, len(images))
            if watched or self.device.type == "cpu":  # where nothing has to wait for a GPU
                self._check(batch, terms)
            if watched:
                journal.row(course, batch, {name: float(term) for name, term in terms.items()})
            if batch.last:
                self._end_epoch(journal, terms)
            if batch.last or stop.signal or self._due():
                self._save(batch)
            if stop.signal:
                journal.close()
                stop.leave(_place(batch.epoch, batch.step))
        journal.close()

    def finish(self) -> None:
        """Write the results; they take the checkpoint's place."""
        weights = self.folder / "model.safetensors"
        save_tensors(self.engine.model, weights)
        self.course.pause()
        record = describe(self.settings, self.engine, self.course, self.data, weights)
        write_json(self.folder / "run.json", record)
        checkpoint.remove(self.folder)

    def _set_random(self, batch: Batch) -> None:
        """Set the random numbers of a step that begins an epoch or that a resumed one begins with.

        Only now, since starting the loader has drawn from them.
        """
        if batch.step == 0:
            self.engine.begin_epoch(batch.epoch)
        elif self._random is not None:
            rng.set_state(self._random, self.device)
        self._random = None

    def _check(self, batch: Batch, terms: dict[str, Tensor]) -> None:
        """Refuse to go on with a loss that is no number; waits for the device."""
        failed = self.course.failed_step()
        if failed is not None:
            told = self.data.told(self.data.plan(batch.epoch)[failed])
            what = f"the loss became {float(terms['total'])}"
            raise not_finite(what, _place(batch.epoch, failed), told, self.settings)

    def _end_epoch(self, journal: Journal, terms: dict[str, Tensor]) -> None:
        active = {name: float(terms[name]) for name in ACTIVE if name in terms}
        self.course.end_epoch(active)
        self.engine.scheduler.step()
        journal.epoch(self.course.curve)

    def _save(self, batch: Batch) -> None:
        # The loss before a step says nothing of the weights after it.
        if not self.engine.is_finite():
            told = self.data.told(batch.rows)
            place = _place(batch.epoch, batch.step)
            raise not_finite("the weights are no longer finite", place, told, self.settings)
        state = {
            "engine": self.engine.state(),
            "course": self.course.state(),
            "random": rng.state(self.device),
        }
        checkpoint.save(self.folder, self.identity, state)
        self.course.pause()
        self._saved = time.monotonic()

    def _due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self.watching.checkpoint_minutes


def _place(epoch: int, step: int) -> str:
    return f"epoch {epoch + 1}, step {step + 1}"
