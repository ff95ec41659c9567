"""What a workflow has to know of a dataset of one's own before its jobs start."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tcmbench.config.own import OWN
from tcmbench.config.schema import Config
from tcmbench.images.manifests import Item
from tcmbench.photos.listing import Listing, listed
from tcmbench.photos.memory import Memory

MEMORY = "pictures.json"


@dataclass(frozen=True)
class Plan:
    """The pictures, and for each half a hash of all that it is: equal ones re-run nothing."""

    listing: Listing
    train: str
    test: str


def planned(entry: Config, folder: Path) -> Plan:
    """List the pictures of a dataset and hash those that are new or changed.

    Args:
        entry: of `datasets` in config.yaml.
        folder: where the hashes are remembered.

    Raises:
        UserError: as `listed` and `Memory`.
    """
    listing = listed(entry)
    halves = listing.split.train, listing.split.test
    memory = Memory(folder / MEMORY, listing.images, (i.path for half in halves for i in half))
    return Plan(listing, *(_digest(half, memory) for half in halves))


def with_sizes(config: Config) -> Config:
    """Return a checked configuration whose suite knows its classes, to which recipes are fitted.

    An entry of `datasets` then has `sizes`, the images of each training class. Without datasets of
    one's own nothing is changed.

    Raises:
        UserError: as `listed`.
    """
    grid, own = config["suites"][config["suite"]], config["datasets"]
    names = grid["datasets"] if grid["scale"] == OWN else []
    known = {name: own[name] | {"sizes": listed(own[name]).sizes} for name in names}
    return config | {"datasets": own | known}


def _digest(items: Iterable[Item], memory: Memory) -> str:
    rows = sorted((item.path, item.label, item.class_name, memory[item.path]) for item in items)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
