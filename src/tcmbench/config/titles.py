"""How the configuration calls its datasets, backbones and losses in print."""

from tcmbench.config.schema import Config

KINDS = ("datasets", "backbones", "losses")
Titles = dict[str, dict[str, str]]


def titles(config: Config) -> Titles:
    """Return the titles that entries of the configuration give themselves, by kind and name."""
    given: Titles = {}
    for kind in KINDS:
        for name, entry in config.get(kind, {}).items():
            if "title" in entry:
                given.setdefault(kind, {})[name] = entry["title"]
    return given
