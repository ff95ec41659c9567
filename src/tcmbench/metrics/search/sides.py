"""A query set and a gallery side by side: one table of unit rows, the queries first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tcmbench.common.errors import UserError
from tcmbench.metrics.engine.inputs import Device, Embeddings, LabelledRows, prepare
from tcmbench.metrics.engine.labels import Labels, joined
from tcmbench.metrics.engine.pairs import tile_side


@dataclass(frozen=True, slots=True)
class TwoSides:
    """Q queries, then G gallery images, each in class order; positions count through both.

    Attributes:
        rows: [Q + G] unit rows; only `unit` and `class_of` make sense across both sets.
        queries: Q.
        own: [Q] input row in the gallery of each query's own image, -1 for none.
        side: rows of a block.
    """

    rows: LabelledRows
    queries: int
    own: Tensor
    side: int

    @property
    def class_of(self) -> Tensor:
        """[Q + G] classes, numbered over both sets."""
        return self.rows.class_of

    @property
    def source(self) -> Tensor:
        """[Q + G] input row of each, in its own set."""
        return self.rows.source

    @property
    def gallery(self) -> slice:
        """The positions of the gallery."""
        return slice(self.queries, len(self.rows))

    def blocks(self, span: slice) -> Iterator[slice]:
        """Cut positions into blocks."""
        for start in range(span.start, span.stop, self.side):
            yield slice(start, min(start + self.side, span.stop))

    def query_blocks(self) -> Iterator[slice]:
        """Cut the queries into blocks."""
        return self.blocks(slice(0, self.queries))

    def span(self, queries: slice) -> slice:
        """Return the part of the gallery that holds all positives of these queries."""
        ends = self.class_of[[queries.start, queries.stop - 1]]
        there = self.class_of[self.gallery]
        low = int(torch.searchsorted(there, ends[0]))
        high = int(torch.searchsorted(there, ends[1], right=True))
        return slice(self.queries + low, self.queries + high)

    def is_own(self, queries: slice | Tensor, columns: slice) -> Tensor:
        """Mark [q, c] the pairs that are one image."""
        return self.own[queries, None] == self.source[None, columns]

    def positives_of_queries(self) -> NDArray[np.int64]:
        """Return [Q] the number of positives of each query in the gallery, its own image not."""
        there = self.class_of[self.gallery]
        sizes = torch.bincount(there, minlength=int(self.class_of.max()) + 1)
        counts = sizes[self.class_of[: self.queries]] - (self.own >= 0).long()
        found: NDArray[np.int64] = counts.cpu().numpy()
        return found

    def pair_counts(self) -> tuple[int, int]:
        """Return the numbers of negative and of positive pairs."""
        positives = int(self.positives_of_queries().sum())
        own = int((self.own >= 0).sum())
        return self.queries * (len(self.rows) - self.queries) - own - positives, positives


def two_sides(
    query: Embeddings,
    query_labels: Labels,
    gallery: Embeddings,
    gallery_labels: Labels,
    own: Labels | None,
    device: Device,
    block_size: int | None,
) -> TwoSides:
    """Check and normalise both sets; the arguments are those of `query_gallery_recall`.

    Raises:
        UserError: unusable embeddings or labels of either set, named by it.
    """
    left = _prepared("query", query, query_labels, device)
    right = _prepared("gallery", gallery, gallery_labels, left.unit.device)
    widths = left.unit.shape[1], right.unit.shape[1]
    if widths[0] != widths[1]:
        raise UserError(
            f"queries have {widths[0]} dimensions and the gallery {widths[1]}; "
            "embed both with the same model"
        )
    classes = joined(left.classes, right.classes)
    class_of = _numbered(left, classes), _numbered(right, classes)
    rows = LabelledRows(
        unit=torch.cat([left.unit, right.unit]),
        class_of=torch.cat(class_of),
        source=torch.cat([left.source, right.source]),
        classes=classes,
        sizes=np.zeros(len(classes), np.int64),
        class_end=left.class_end[:0],
    )
    own_rows = _own(own, left, right)
    _check_own(own_rows, *class_of, right.source)
    return TwoSides(rows, len(left), own_rows, tile_side(left, block_size))


def _numbered(part: LabelledRows, classes: NDArray[Any]) -> Tensor:
    number = np.searchsorted(classes, part.classes.astype(classes.dtype))
    return torch.from_numpy(number).to(part.class_of.device)[part.class_of]


def _prepared(name: str, embeddings: Embeddings, labels: Labels, device: Device) -> LabelledRows:
    try:
        if len(embeddings) == 1 == len(labels):
            return _single(embeddings, labels, device)
        return prepare(embeddings, labels, device)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _single(embeddings: Embeddings, labels: Labels, device: Device) -> LabelledRows:
    # One query is a set here, but too small for all that `prepare` is for: it takes it twice.
    doubled = [
        torch.cat([part, part]) if isinstance(part, Tensor) else np.concatenate([part, part])
        for part in (embeddings, labels)
    ]
    rows = prepare(doubled[0], doubled[1], device)
    one = (rows.class_of[:1], rows.source[:1] * 0, rows.classes, rows.sizes // 2)
    return LabelledRows(rows.unit[:1], *one, rows.class_end[:1])


def _own(own: Labels | None, left: LabelledRows, right: LabelledRows) -> Tensor:
    if own is None:
        return torch.full_like(left.source, -1)
    named: NDArray[np.int64] = np.asarray(own.cpu() if isinstance(own, Tensor) else own)
    if named.shape != (len(left),) or named.dtype.kind not in "iu":
        raise UserError(
            f"own has shape {named.shape}; give one gallery row (an integer, -1 for none) a query"
        )
    if named.min() < -1 or named.max() >= len(right):
        raise UserError(
            f"own names rows {named.min()} to {named.max()} of a gallery of {len(right)} images; "
            "count its rows from 0, and give -1 for none"
        )
    return torch.from_numpy(named.astype(np.int64)).to(left.source.device)[left.source]


def _check_own(own_rows: Tensor, class_of: Tensor, others: Tensor, source: Tensor) -> None:
    class_of_row = torch.empty_like(others)
    class_of_row[source] = others
    paired = own_rows >= 0
    if (class_of[paired] != class_of_row[own_rows[paired]]).any():
        raise UserError(
            "a query and the gallery row that own names differ in label; mend one of them"
        )
