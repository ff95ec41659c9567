"""What one part of config.yaml says of another: names, and settings that a suite sweeps."""

from collections.abc import Collection, Iterable

from tcmbench.common.errors import UserError, nearest
from tcmbench.config.own import OWN, check_entry, check_scale
from tcmbench.config.schema import Config, load_schema, settings
from tcmbench.config.sweeps import REGULARIZER, leaf


def check_names(config: Config, datasets: Collection[str], losses: Collection[str]) -> None:
    """Check every name and every swept setting.

    Args:
        config: the configuration, with its defaults.
        datasets: names of the datasets that have a file.
        losses: names of the losses that have a file in the library.

    Raises:
        UserError: nothing answers to a name, two datasets answer to it, or a setting cannot have a
            value of its sweep.
    """
    suites, own = config["suites"], config["datasets"]
    for name, entry in own.items():
        check_entry(name, entry, datasets)
    _known("suite", [config["suite"]], suites)
    for name, loss in config["losses"].items():
        _known(f"losses.{name}.suites", loss.get("suites", []), suites)
        if "file" in loss and "class" in loss:
            raise UserError(
                f"config.yaml key 'losses.{name}' has both a file and a class; keep one of them"
            )
        if not {"file", "class"} & set(loss) and loss["rule"] == "generated":
            _known("losses", [name], losses)
    for name, suite in suites.items():
        _known(f"suites.{name}.datasets", suite["datasets"], (*datasets, *own))
        check_scale(name, suite, own)
        _known(f"suites.{name}.backbones", suite["backbones"], config["backbones"])
        _known(f"suites.{name}.losses", suite.get("losses", []), config["losses"])
        _check_sweep(f"suites.{name}.sweep", suite["sweep"])
    _known("layouts", config["layouts"], datasets)
    known = {
        "scale": ("full", "miniature", OWN),
        "dataset": (*datasets, *own),
        "backbone": config["backbones"],
        "loss": config["losses"],
    }
    for number, entry in enumerate(config["recipes"]):
        for key, names in entry["where"].items():
            _known(f"recipes.{number}.where.{key}", listed(names), known[key])


def _check_sweep(place: str, grids: list[Config]) -> None:
    """Check that each swept setting exists, and that it may have each of its values."""
    import jsonschema

    margin = load_schema()["properties"]["regularizer"]["properties"]
    known = settings() | {f"{REGULARIZER}{key}": part for key, part in margin.items()}
    for number, grid in enumerate(grids):
        _known(f"{place}.{number}", grid, known)
        for key, values in grid.items():
            for value in values:
                checker = jsonschema.Draft202012Validator(known[key])
                error = next(checker.iter_errors(value), None)
                if error is not None:
                    raise UserError(
                        f"config.yaml key '{place}.{number}.{key}' cannot hold {value!r}: "
                        f"{error.message}; {leaf(key)} is: {known[key]['description']}"
                    )


def _known(key: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"config.yaml key '{key}' names an unknown '{name}'; {hint}")


def listed(names: str | list[str]) -> list[str]:
    """Return a name, or a list of names, as a list."""
    return [names] if isinstance(names, str) else names
