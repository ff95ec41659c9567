"""Do data, split, start weights and configuration have the fingerprints that this project pins?"""

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tcmbench import datasets
from tcmbench.bundles.findings import OPEN, Finding, judged
from tcmbench.common.errors import UserError
from tcmbench.common.files import read_json
from tcmbench.config.check import Run, check, runs, train_config
from tcmbench.config.reading import read_config

SPLITS = Path(__file__).with_name("splits.toml")
# Of a configuration, what says where files lie, and what changes no result.
PLACES = {"manifest", "images", "weights", "optimization.chunk_size", "optimization.kept_chunks"}
EVALUATED = ("far_range", "beta", "epsilon", "num_thresholds")


def split_hash(labels: NDArray[Any], paths: NDArray[Any]) -> str:
    """Return the fingerprint of a split: its labels and paths, without the folder they begin with.

    The folder says how large the stored images are, not which they are.
    """
    rows = sorted(
        f"{label} {str(path).partition('/')[2]}\n"
        for label, path in zip(labels.tolist(), paths.tolist(), strict=True)
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def split_finding(run: Run, scale: str, folder: Path, record: dict[str, Any]) -> Finding:
    """Compare the test split: a miniature's exactly, a published one's by its counts."""
    with np.load(folder / "embeddings.npz", allow_pickle=False) as archive:
        labels, paths = archive["labels"], archive["paths"]
    name, images, classes = run.folder.partition("runs/")[2], len(labels), len(np.unique(labels))
    counted = f"{images:,} images of {classes} classes"
    if scale == "miniature":
        pinned = tomllib.loads(SPLITS.read_text(encoding="utf-8")).get(run.dataset)
        if pinned is None:
            return Finding(name, "split", OPEN, f"{counted}; nothing is pinned")
        same = split_hash(labels, paths) == pinned
        return judged(name, "split", None if same else f"{counted} are not the test split", counted)
    if scale != "full" or run.dataset not in datasets.names():
        return Finding(name, "split", OPEN, f"{counted}; nothing is pinned")
    counts = datasets.load(run.dataset).counts
    left_out = len((record.get("data") or {}).get("unreadable") or ())
    wrong = classes != counts.test_classes or not 0 <= counts.test_images - images <= left_out
    wanted = f"{counts.test_images:,} images of {counts.test_classes} classes"
    return judged(name, "split", f"{counted} instead of {wanted}" if wrong else None, counted)


def data_finding(run: Run, scale: str, record: dict[str, Any]) -> Finding:
    """Compare the hashes of the archives with the published ones."""
    name = run.folder.partition("runs/")[2]
    noted = (record.get("data") or {}).get("archives") or {}
    if scale != "full" or run.dataset not in datasets.names() or not noted:
        return Finding(name, "data", OPEN, "no published hash")
    problems, known = [], 0
    for archive in datasets.load(run.dataset).layout(record["data"].get("layout")).archives:
        for kind in ("sha256", "md5"):
            wanted, found = getattr(archive, kind), (noted.get(archive.name) or {}).get(kind)
            if wanted and found:
                known += 1
                if wanted != found:
                    problems.append(f"{archive.name} is not the published file ({kind} {found})")
    if not known:
        return Finding(name, "data", OPEN, "no published hash")
    return judged(name, "data", problems[0] if problems else None, f"{known} published hashes")


def weights_finding(
    run: Run, config: dict[str, Any], record: dict[str, Any], root: Path
) -> Finding:
    """Compare the start weights with the hash that the configuration pins."""
    name = run.folder.partition("runs/")[2]
    pinned = (config["backbones"].get(run.backbone) or {}).get("sha256")
    told = root / "weights" / f"{run.backbone}.json"
    if pinned is None:
        return Finding(name, "start weights", OPEN, "nothing is pinned")
    if not told.is_file():
        return Finding(name, "start weights", OPEN, "the bundle has no record of them")
    origin = read_json(told)
    problem = None
    if origin.get("sha256") != record.get("initial_weights_sha256"):
        problem = "the run did not start from the weights that the bundle describes"
    elif origin.get("file_sha256") != pinned:
        problem = f"they come from another file than is pinned (SHA-256 {pinned})"
    return judged(name, "start weights", problem, f"SHA-256 {pinned[:12]}...")


def read_pins(path: Path) -> dict[str, Any]:
    """Read the configuration that runs are compared with."""
    raw = read_config(path)
    losses = raw.get("losses", {}) if isinstance(raw, dict) else {}
    return check(raw, datasets.names(), losses)


def config_findings(
    run: Run, scale: str, config: dict[str, Any], record: dict[str, Any], metrics: dict[str, Any]
) -> Iterator[Finding]:
    """Compare the settings of training and evaluation with those of the configuration."""
    name = run.folder.partition("runs/")[2]
    suites = [key for key, suite in config["suites"].items() if suite["scale"] == scale]
    known = [key for key in suites if run.dataset in config["suites"][key]["datasets"]]
    if not known:
        yield Finding(name, "configuration", OPEN, f"no suite here has {run.dataset} ({scale})")
    else:
        chosen = next((key for key in known if run in runs(config, key)), known[0])
        yield _trained(run, config | {"suite": chosen}, record)
    wanted = {key: config["evaluation"][key] for key in EVALUATED}
    found = {key: metrics.get(key) for key in EVALUATED}
    differing = [
        f"{key} is {found[key]} instead of {wanted[key]}"
        for key in EVALUATED
        if found[key] != wanted[key]
    ]
    yield judged(name, "evaluation", differing[0] if differing else None, "as configured")


def _trained(run: Run, config: dict[str, Any], record: dict[str, Any]) -> Finding:
    name = run.folder.partition("runs/")[2]
    try:
        wanted = _flat(train_config(config, run))
    except (UserError, KeyError) as error:
        return judged(name, "configuration", f"config.yaml has no such run ({error})")
    found = _flat(record.get("config") or {})
    differing = [
        f"{key} is {found.get(key)} instead of {value}"
        for key, value in wanted.items()
        if key not in PLACES and found.get(key) != value
    ]
    return judged(name, "configuration", differing[0] if differing else None, "as configured")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by their whole names, as JSON has them."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return found
