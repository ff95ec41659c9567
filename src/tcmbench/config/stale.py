"""Runs that are there and were trained with another configuration than the one that is wanted.

Snakemake knows by records of its own, which a result lacks that was finished by a job whose
Snakemake had been killed, or that was copied here.
"""

from collections.abc import Mapping
from pathlib import Path

from tcmbench.common.differences import changed, flat
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.common.provenance import portable
from tcmbench.config.schema import Config


def stale_runs(wanted: Mapping[str, Config]) -> dict[str, str]:
    """Return the records that are not of the wanted configurations, and the first difference.

    Args:
        wanted: by the path of a run's record, what `train_config` returns.
    """
    differing = {path: _difference(Path(path), config) for path, config in wanted.items()}
    return {path: said for path, said in differing.items() if said is not None}


def told(stale: Mapping[str, str], end: str) -> str:
    """Return one sentence on stale records, which ends as it is told to."""
    first, difference = next(iter(stale.items()))
    others = f"; so are {len(stale) - 1} more" if len(stale) > 1 else ""
    return f"{first} is of another configuration ({difference}{others}), {end}"


def _difference(path: Path, wanted: Config) -> str | None:
    if not path.exists():
        return None
    try:
        record = read_json(path)
    except UserError:
        record = None
    old = record.get("config") if isinstance(record, dict) else None
    if not isinstance(old, dict):
        return "it does not say of which"
    # Defaults are written out in the record alone.
    before, after = flat(old), flat(portable(wanted))
    return next(
        (
            changed(name, before.get(name), after[name])
            for name in after
            if before.get(name) != after[name]
        ),
        None,
    )
