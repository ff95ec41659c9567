"""The settings that embeddings are scored with: one, or several side by side."""

from tcmbench.common.errors import UserError
from tcmbench.config.schema import Config

# The first settings' files lie where those of a single evaluation do.
MAIN = ""


def evaluations(config: Config) -> dict[str, Config]:
    """Return the settings of each evaluation by its folder within a run; `MAIN` is the first."""
    given = config["evaluation"]
    first, *others = given if isinstance(given, list) else [given]
    return {MAIN: first} | {settings["name"]: settings for settings in others}


def evaluation_titles(config: Config) -> dict[str, str]:
    """Return the name of each evaluation by its folder; that of the first may be empty."""
    return {folder: settings.get("name", "") for folder, settings in evaluations(config).items()}


def check_evaluations(config: Config) -> None:
    """Refuse what no evaluation could measure, before anything is trained.

    Raises:
        UserError: a calibration range that does not ascend, or a name that is given twice.
    """
    given = config["evaluation"]
    names = [settings["name"] for settings in given] if isinstance(given, list) else []
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"config.yaml key 'evaluation' has two settings named '{name}'; rename one"
            )
    for number, settings in enumerate(evaluations(config).values()):
        low, high = settings["far_range"]
        if not low < high:
            place = f"evaluation.{number}" if names else "evaluation"
            raise UserError(
                f"config.yaml key '{place}.far_range' is [{low:g}, {high:g}]; give the lower false "
                "accept rate first"
            )
