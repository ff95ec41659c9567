"""A bundle checked: its seal, its numbers, and the fingerprints that this project pins."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tcmbench.bundles.findings import FAILS, OPEN, Finding, judged
from tcmbench.bundles.numbers import number_findings
from tcmbench.bundles.pack import NEEDED
from tcmbench.bundles.pins import (
    config_findings,
    data_finding,
    read_pins,
    split_finding,
    split_hash,
    weights_finding,
)
from tcmbench.bundles.sealed import opened
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json, sha256
from tcmbench.config.sweeps import parsed
from tcmbench.tables.contributed import Contribution, contribution
from tcmbench.tables.runs import MeasuredRun, read_runs


@dataclass(frozen=True)
class Verdict:
    """What was found in a bundle.

    Attributes:
        content: what it says of itself.
        findings: in the order of its runs.
        contribution: its rows for the tables; None where something fails.
    """

    content: dict[str, Any]
    findings: list[Finding]
    contribution: Contribution | None = field(repr=False)

    @property
    def failures(self) -> list[Finding]:
        """What does not hold."""
        return [one for one in self.findings if one.verdict == FAILS]


def verify(path: Path, config: Path | None, device: str = "cpu") -> Verdict:
    """Check a bundle in full; nothing in it is executed.

    Args:
        path: the bundle.
        config: config.yaml of this project; None compares with no configuration.
        device: where to measure.

    Raises:
        UserError: it is no bundle, or was changed since it was made; what merely does not hold is
            in the findings.
    """
    pins = read_pins(config) if config else None
    with tempfile.TemporaryDirectory(prefix="tcmbench-") as name:
        root = Path(name) / "bundle"
        opened(path, root)
        content = read_json(root / "bundle.json")
        runs = _runs(path, root, content)
        findings = [one for run in runs for one in _of_run(run, root, Path(name), pins, device)]
        findings += _between(runs)
        good = all(one.verdict != FAILS for one in findings)
        rows = contribution(runs, content["by"], sha256(path)) if good else None
    return Verdict(content, findings, rows)


def _runs(path: Path, root: Path, content: Any) -> list[MeasuredRun]:
    folders = sorted(folder.parent for folder in root.glob("runs/*/*/*/*/seed*/run.json"))
    if not isinstance(content, dict) or not isinstance(content.get("by"), str) or not folders:
        raise UserError(f"{path} is a bundle without runs or without a name; make it again")
    for folder in folders:
        for name in NEEDED:
            if not (folder / name).is_file():
                raise UserError(f"{path} lacks {name} of a run; make it again")
    return read_runs(folders)


def _of_run(
    run: MeasuredRun, root: Path, work: Path, pins: dict[str, Any] | None, device: str
) -> Iterator[Finding]:
    name = run.run.folder.partition("runs/")[2]
    yield judged(name, "identity", _mistaken(run), "run.json is of this run")
    yield _model(name, run)
    yield from number_findings(name, run.folder, work, device)
    yield split_finding(run.run, run.scale, run.folder, run.record)
    yield data_finding(run.run, run.scale, run.record)
    if pins is None:
        yield Finding(name, "configuration", OPEN, "no config.yaml here to compare with")
        return
    yield weights_finding(run.run, pins, run.record, root)
    yield from config_findings(run.run, run.scale, pins, run.record, run.metrics)


def _mistaken(run: MeasuredRun) -> str | None:
    """Say where run.json is of another run than its folder."""
    config = run.record.get("config") or {}
    loss = (config.get("loss") or {}).get("name")
    wanted = {
        "dataset": run.run.dataset,
        "backbone": run.run.backbone,
        "variant": run.run.variant,
        "seed": run.run.seed,
    }
    for key, value in wanted.items():
        if config.get(key) != value:
            return f"run.json is of {key} {config.get(key)}, but stands in the folder of {value}"
    if loss != parsed(run.run.loss)[0]:
        return f"run.json is of loss {loss}, but stands in the folder of {run.run.loss}"
    if (config.get("regularizer") is None) != (run.run.variant == "base"):
        return f"run.json has {'no' if run.run.variant == 'tcm' else 'a'} regularizer"
    return None


def _model(name: str, run: MeasuredRun) -> Finding:
    """Compare the model that the embeddings name with that of the training."""
    with np.load(run.folder / "embeddings.npz", allow_pickle=False) as archive:
        if "weights_sha256" not in archive:
            return Finding(name, "model", OPEN, "the embeddings do not say whose they are")
        found = str(archive["weights_sha256"])
    same = found == run.record.get("weights_sha256")
    problem = None if same else "the embeddings are those of another model than run.json's"
    return judged(name, "model", problem, f"SHA-256 {found[:12]}...")


def _between(runs: Sequence[MeasuredRun]) -> Iterator[Finding]:
    """Compare what all runs on one dataset must share, and no two may."""
    splits: dict[str, str] = {}
    seen: dict[str, str] = {}
    for run in runs:
        name = run.run.folder.partition("runs/")[2]
        with np.load(run.folder / "embeddings.npz", allow_pickle=False) as archive:
            split = split_hash(archive["labels"], archive["paths"])
        if splits.setdefault(run.run.dataset, split) != split:
            yield judged(name, "split", "other test images than the runs before it")
        file = sha256(run.folder / "embeddings.npz")
        if (other := seen.setdefault(file, name)) != name:
            yield judged(name, "embeddings", f"they are those of {other}")
