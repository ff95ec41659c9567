"""A part of the chosen suite, by names and seeds: `--config only=cub,resnet50 seeds=0-2`."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from tcmbench.common.errors import UserError, nearest
from tcmbench.config.references import listed
from tcmbench.config.schema import Config

VARIANTS = ("base", "tcm")
# The lists of a suite that names are taken from, and how one of its names is called.
KINDS = {"datasets": "dataset", "backbones": "backbone", "losses": "loss", "variants": "variant"}
SEEDS = re.compile(r"(\d+)(?:-(\d+))?")


def narrowed(config: Config, datasets: Collection[str]) -> Config:
    """Return the configuration with its chosen suite cut down to what `only` and `seeds` name.

    Of a kind that `only` names nothing of, all stay. Without both keys nothing changes.

    Args:
        config: the configuration, with its defaults.
        datasets: names of the datasets that have a file.

    Raises:
        UserError: an unknown name, a name that the suite lacks, or what is no seed.
    """
    suite = config["suite"]
    grid: Config = dict(config["suites"][suite])
    known = _known(config, datasets)
    named = list(_words(config.get("only", [])))
    for kind in KINDS:
        wanted = [name for name in named if name in known[kind]]
        if wanted:
            has = losses_of(config, suite) if kind == "losses" else grid[kind]
            _refuse_absent(wanted, has, kind, suite)
            grid[kind] = [name for name in has if name in wanted]
    _refuse_unknown(named, known)
    if "seeds" in config:
        grid["seeds"] = _seeds(config["seeds"])
    return config | {"suites": config["suites"] | {suite: grid}}


def is_narrowed(config: Config) -> bool:
    """Say whether a part of the suite was asked for."""
    return "only" in config or "seeds" in config


def losses_of(config: Config, suite: str) -> list[str]:
    """Return the losses of a suite: those it lists, or those that join it."""
    joining = [
        name for name, loss in config["losses"].items() if suite in loss.get("suites", [suite])
    ]
    losses: list[str] = config["suites"][suite].get("losses", joining)
    return losses


def check_unique(config: Config, datasets: Collection[str]) -> None:
    """Refuse a name of two kinds, since `only` takes names of all.

    Raises:
        UserError: there is one.
    """
    kind_of: dict[str, str] = {}
    for kind, names in _known(config, datasets).items():
        for name in names:
            first = kind_of.setdefault(name, kind)
            if first != kind:
                raise UserError(
                    f"config.yaml has '{name}' as a {KINDS[first]} and as a {KINDS[kind]}, and "
                    "--config only= takes names of both; give one of them another name"
                )


def _known(config: Config, datasets: Collection[str]) -> dict[str, Collection[str]]:
    return {
        "datasets": [*datasets, *config["datasets"]],
        "backbones": config["backbones"],
        "losses": config["losses"],
        "variants": VARIANTS,
    }


def _words(value: Any) -> Iterator[str]:
    """Yield the words of a text with commas, a number, or a list of such."""
    for text in listed(value) if isinstance(value, str | list) else [value]:
        yield from (word.strip() for word in str(text).split(",") if word.strip())


def _seeds(value: Any) -> list[int]:
    """Return seeds, ascending, of numbers and ranges such as `0-2,5`."""
    found: set[int] = set()
    for word in _words(value):
        match = SEEDS.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise UserError(
                f"config.yaml key 'seeds' cannot be '{word}'; give numbers and ascending ranges, "
                "such as 0-2,5"
            )
        found.update(range(first, last + 1))
    if not found:
        raise UserError("config.yaml key 'seeds' names no seed; give numbers and ranges, as 0-2,5")
    return sorted(found)


def _refuse_unknown(named: Iterable[str], known: dict[str, Collection[str]]) -> None:
    names = [name for kind in known.values() for name in kind]
    for name in named:
        if name not in names:
            raise UserError(
                f"config.yaml key 'only' names '{name}', which is no dataset, backbone, loss or "
                f"variant; {nearest(name, names)}"
            )


def _refuse_absent(wanted: Iterable[str], has: Collection[str], kind: str, suite: str) -> None:
    for name in wanted:
        if name not in has:
            raise UserError(
                f"config.yaml key 'only' names the {KINDS[kind]} '{name}', which suite '{suite}' "
                f"does not have; its {kind} are {', '.join(has)}"
            )
