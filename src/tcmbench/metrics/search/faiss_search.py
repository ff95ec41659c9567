"""A faiss index over a gallery, on the CPU or a GPU; faiss is imported when one is built."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tcmbench.common.errors import UserError
from tcmbench.metrics.search.sides import TwoSides

#: Up to so many images a full search is a matter of minutes.
FULL_SEARCH = 1 << 18
_DEEPEST_ON_GPU = 2048
#: The packages that hold faiss, all in a folder of the same name.
BUILDS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs")
_PLACE = re.compile(r".*\.(cpp|cu|h):\d+: (Error: '.*' failed:? ?)?")

Indices = NDArray[np.int64]


def default_index(count: int) -> str:
    """Return the factory string for a gallery of so many images."""
    return "Flat" if count <= FULL_SEARCH else f"IVF{round(4 * count**0.5)},Flat"


class FaissSearch:
    """An index over the gallery; neighbours are numbered by place in the gallery's class order.

    Args:
        sides: queries and gallery, on the CPU.
        name: factory string.
        probes: cells visited for a query, by any index that has some.
        gpu: whether on torch's current GPU; None for where faiss sees one and `depth` allows it.
        depth: neighbours that will be asked for, at most.

    Raises:
        UserError: faiss is missing or there twice, knows no such index, cannot build it from this
            gallery, or sees no GPU.
    """

    def __init__(
        self, sides: TwoSides, name: str, probes: int, gpu: bool | None, depth: int
    ) -> None:
        if probes < 1:
            raise UserError(f"probes is {probes}; visit at least one cell for a query")
        self.sides = sides
        self.name = name
        self.unit: NDArray[np.float32] = sides.rows.unit.numpy()
        source = sides.source[sides.gallery].numpy()
        place = np.empty_like(source)
        place[source] = np.arange(len(source))
        own = sides.own.numpy()
        self.own: Indices = np.where(own >= 0, place[own], -1)
        self.left_out = int((own >= 0).any())
        self.most = len(source) - self.left_out
        faiss = _faiss()
        self.on_gpu = _on_gpu(faiss, gpu, min(depth, self.most) + self.left_out)
        self.index = _built(faiss, name, self.unit[sides.gallery], probes, self.on_gpu)

    def __call__(self, queries: Indices, count: int) -> Indices:
        """Return [q, count] neighbours without the query's own image; -1 where none was found."""
        count = min(count, self.most)
        with _explained(self.name):
            _, found = self.index.search(self.unit[queries], count + self.left_out)
        if not self.left_out:
            return np.asarray(found)
        own = found == self.own[queries, None]
        # Among many equal images the own one may not be found: then the last one goes.
        own[~own.any(axis=1), -1] = True
        return np.asarray(found[~own].reshape(len(queries), count))


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise UserError(
            "approximate retrieval needs faiss; install it with `pip install faiss-cpu`"
        ) from None
    installed_build()
    return faiss


def installed_build() -> tuple[str, str]:
    """Return the package that faiss is from, and its version.

    Raises:
        UserError: there are two, of which one has overwritten files of the other.
    """
    found = {name: number for name in BUILDS if (number := _version(name))}
    if len(found) > 1:
        raise UserError(
            f"{' and '.join(found)} are installed and ship the same folder 'faiss', so that one "
            f"has overwritten the other; `pip uninstall {' '.join(found)}`, then install one"
        )
    # One that conda has installed goes by other names.
    return next(iter(found.items()), ("faiss", "unknown"))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _on_gpu(faiss: Any, wanted: bool | None, depth: int) -> bool:
    there = bool(getattr(faiss, "get_num_gpus", int)())
    if wanted and not there:
        raise UserError("this faiss sees no GPU; install a faiss built for it, or search on CPU")
    if wanted and depth > _DEEPEST_ON_GPU:
        raise UserError(
            f"faiss finds at most {_DEEPEST_ON_GPU} neighbours on a GPU and {depth} are asked for; "
            "search on CPU, or leave MAP@R and large k out"
        )
    return there and depth <= _DEEPEST_ON_GPU if wanted is None else wanted


def _built(faiss: Any, name: str, gallery: NDArray[np.float32], probes: int, gpu: bool) -> Any:
    try:
        index = faiss.index_factory(gallery.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError:
        raise UserError(
            f"faiss knows no index '{name}'; give a factory string such as 'Flat' or 'IVF1024,Flat'"
        ) from None
    with _explained(name):
        # Behind a transform, a refinement or a map of numbers lie the same lists.
        lists = faiss.try_extract_index_ivf(index)
        if lists is not None:
            lists.nprobe = probes
        if gpu:
            # Not all of them: other jobs of the workflow hold the others.
            index = faiss.index_cpu_to_gpus_list(index, gpus=[torch.cuda.current_device()])
        index.train(gallery)
        index.add(gallery)
    return index


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Make a sentence of what faiss raises: a C++ signature, a place in its source, the reason."""
    try:
        yield
    except RuntimeError as error:
        reason = shorten(_PLACE.sub("", " ".join(str(error).split())), 200)
        raise UserError(
            f"faiss cannot search this gallery with the index '{name}' ({reason}); choose another, "
            "such as 'Flat', or one with fewer cells"
        ) from None
