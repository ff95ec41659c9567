"""The runs that a suite consists of, done or not."""

from pathlib import Path

from tcmbench import datasets
from tcmbench.common.errors import UserError, nearest
from tcmbench.config.check import check, runs
from tcmbench.config.reading import read_config


def expected_folders(path: Path, suite: str) -> list[Path]:
    """Return the run folders of a suite, relative to the working directory.

    Args:
        path: config.yaml.
        suite: one of its suites.

    Raises:
        UserError: the file is missing or wrong, or has no such suite.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; name the run folders instead")
    raw = read_config(path)
    # Whether each loss is there is for the training to check: looking takes torch.
    losses = raw.get("losses", {}) if isinstance(raw, dict) else {}
    config = check(raw, datasets.names(), losses)
    if suite not in config["suites"]:
        raise UserError(f"{path} has no suite '{suite}'; {nearest(suite, config['suites'])}")
    return [Path(run.folder) for run in runs(config, suite)]
