"""Which rows of a batch are of one class: found once, on the host, for the losses that rank."""

import torch
from torch import Tensor

from tcmbench.common.devices import uploaded

#: For every row the rows of its class [B, G] int64, and which of them are no padding [B, G] bool.
Members = tuple[Tensor, Tensor]


def class_members(labels: Tensor, device: torch.device | None = None) -> Members:
    """Return, for every row, the rows of its class, in slots padded to the largest class.

    Args:
        labels: [B] class names, in any order and number per class. How large the largest class is
            has to be known to the host: a GPU that holds the labels is waited for.
        device: where the result is to be; where the labels are, if left out.

    Returns:
        Members [B, G] int64 and filled [B, G] bool. Slot 0 is the row itself, the others of its
        class follow; an unfilled slot names some row of the class and must be masked out.
    """
    _, classes, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    order = classes.argsort(stable=True)
    size = counts[classes].unsqueeze(1)
    first = (counts.cumsum(0) - counts)[classes].unsqueeze(1)
    own = order.argsort().unsqueeze(1) - first
    slots = torch.arange(int(counts.max()), device=labels.device)
    members, filled = order[first + (own + slots) % size], slots < size
    if device is None:
        return members, filled
    return uploaded(members, device), uploaded(filled, device)
