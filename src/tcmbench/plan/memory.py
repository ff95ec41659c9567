"""The peak memory of a training step by a formula, and the largest chunk that fits a GPU."""

from dataclasses import dataclass

from tcmbench.common.errors import UserError
from tcmbench.plan.gpus import GPUS
from tcmbench.plan.network import BYTES, Work
from tcmbench.plan.objective import LossWork
from tcmbench.training.settings import AUTO, Settings

# GB (10^9 bytes) of a GPU that hold no tensors: driver, cuDNN, and what lies between tensors.
RESERVED_GB = 1.3
# Gradients and results on their way, beside the tensors that are kept for the backward pass.
PASSING = 1.05
# Where a chunk keeps nothing, an operation's input, its result and one on the way are there.
WALKING = 3
# A trained number has itself, its gradient, and Adam's two means.
COPIES = 4


@dataclass(frozen=True)
class Memory:
    """The parts of a step's peak, in bytes.

    Attributes:
        state: weights, buffers, gradients, and Adam's state.
        batch: the images of a batch as uint8, its embeddings and their gradient.
        casts: the weights in the network's precision.
        activations: of each image whose graph is kept.
        largest: of each image, the largest tensor of these.
        loss: similarity matrices and all else the loss has at its peak.
        batch_size: images a step.
        kept_chunks: chunks that keep their graph from the first pass.
    """

    state: int
    batch: int
    casts: int
    activations: int
    largest: int
    loss: int
    batch_size: int
    kept_chunks: int

    def peak(self, chunk: int) -> float:
        """Return the peak in bytes with `chunk` images embedded at once."""
        whole = chunk >= self.batch_size
        kept = self.batch_size if whole else min(self.kept_chunks * chunk, self.batch_size)
        # What is kept goes back before the other chunks are embedded again, one by one.
        moments = (
            self.activations * kept + self.loss,
            self.activations * PASSING * max(kept, min(chunk, self.batch_size)),
            0 if whole else self.activations * kept + WALKING * self.largest * chunk,
        )
        return self.state + self.batch + self.casts + max(moments)

    def largest_chunk(self, limit: float) -> int:
        """Return the most images embedded at once within `limit` bytes, at most a batch; or 0."""
        if self.peak(self.batch_size) <= limit:
            return self.batch_size
        low, high = 0, self.batch_size
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.peak(middle) <= limit else (low, middle)
        return low


def memory_of(settings: Settings, network: Work, loss: LossWork) -> Memory:
    """Put the parts together for a run."""
    plan, model = settings.optimization, settings.model
    trained = network.parameters + loss.parameters
    pixels = 3 * settings.view.crop**2
    return Memory(
        state=network.weights + BYTES * ((COPIES - 1) * trained + loss.parameters),
        batch=plan.batch_size * (pixels + 2 * BYTES * model.embedding_size),
        casts=network.casts,
        activations=network.activations,
        largest=network.largest,
        loss=loss.memory,
        batch_size=plan.batch_size,
        kept_chunks=plan.kept_chunks,
    )


def fitting_chunk(settings: Settings, memory: Memory, gigabytes: float) -> int:
    """Return the chunk that a run takes on a GPU: the configured one, or the largest that fits.

    With batch norms that learn it is the whole batch, as in training.

    Raises:
        UserError: it does not fit.
    """
    plan, limit = settings.optimization, (gigabytes - RESERVED_GB) * 1e9
    if plan.chunk_size != AUTO:
        chunk = min(int(plan.chunk_size), plan.batch_size)
    elif settings.model.freeze_batch_norm:
        chunk = memory.largest_chunk(limit)
    else:
        chunk = plan.batch_size
    if chunk and memory.peak(chunk) <= limit:
        return chunk
    least = memory.peak(max(chunk, 1)) / 1e9 + RESERVED_GB
    enough = [gpu for gpu in GPUS if gpu.memory >= least]
    names = ", ".join(gpu.name for gpu in enough if gpu.memory == enough[0].memory) or "none"
    take = "take" if plan.chunk_size == AUTO else "set chunk_size to auto, or take"
    raise UserError(
        f"{settings.backbone} with {settings.loss.name} on {settings.dataset} needs "
        f"{least:.1f} GB of GPU memory with chunks of {max(chunk, 1)} (batch_size "
        f"{plan.batch_size}), and the GPU has {gigabytes:g}; {take} one with more, of the named "
        f"ones {names}"
    )
