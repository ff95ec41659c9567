"""The table of configuration keys, and the command that makes it."""

import re
from pathlib import Path

import pytest
import yaml

import config_table
from tcmbench.common.errors import UserError
from tcmbench.config.schema import load_schema
from tests.documents.pages import PAGES, region
from tests.paths import ROOT

PAGE = "docs/configuration.md"


def test_the_configuration_table_is_generated():
    page = PAGES[PAGE]
    wanted = config_table.fill(page, config_table.markdown(load_schema()), Path(PAGE))
    assert wanted == page, "run `make docs`"


def test_a_table_row_by_hand():
    # Nested names, a list of numbers with bounds, and a key that must be given.
    schema = {
        "properties": {
            "suites": {
                "type": "object",
                "additionalProperties": {
                    "required": ["sizes"],
                    "properties": {
                        "sizes": {
                            "type": "array",
                            "items": {"type": "integer", "minimum": 2},
                            "description": "In\npixels, a|b.",
                        },
                    },
                },
            },
            "on": {"enum": [True, "auto"], "default": True, "description": "Switch."},
            "cache": {
                "type": ["object", "null"],
                "default": None,
                "properties": {"side": {"type": "integer"}},
            },
        }
    }
    assert config_table.markdown(schema).splitlines()[2:] == [
        "| `suites` | mapping by name |  |  |",
        r"| `suites.<name>.sizes` | list of integers ≥ 2 | required | In pixels, a\|b. |",
        "| `on` | `true`, `auto` | `true` | Switch. |",
        "| `cache` | mapping or null | `null` |  |",
        "| `cache.side` | integer |  |  |",
    ]


def test_a_document_without_a_region_is_refused():
    with pytest.raises(UserError, match=r"NOTES\.md must have .* once each, in this order"):
        config_table.fill("no region", "| table |", Path("NOTES.md"))


def test_every_key_of_the_configuration_is_in_the_table():
    rows = set(re.findall(r"^\| `([^`]+)`", region(PAGE, "config table"), re.MULTILINE))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(config) <= rows
    for recipe in config["recipes"]:
        assert {f"recipes[].set.{key}" for key in recipe["set"]} <= rows
    assert {f"suites.<name>.{key}" for key in config["suites"]["quick"]} <= rows
