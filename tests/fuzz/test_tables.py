"""JSON, CSV and YAML of random damage and random content: read, or refused in one sentence."""

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tcmbench import datasets
from tcmbench.claims import write_claims
from tcmbench.common.files import read_json
from tcmbench.config.check import check
from tcmbench.config.reading import read_config
from tcmbench.download.receipts import read_receipt
from tcmbench.download.trust import Trust
from tcmbench.images.manifests import read_manifest
from tcmbench.losses import available_losses
from tcmbench.plan.rates import COLUMNS, measured
from tcmbench.tables.pairing import pair
from tcmbench.tables.references import read_paper, read_published
from tcmbench.tables.runs import read_runs
from tcmbench.training.settings import Settings
from tests.fuzz.damage import damaged, fuzzed, harmless
from tests.paths import ROOT
from tests.tables.run_folders import CUB, write_pair
from tests.training.tiny_data import config

NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
JSON = st.recursive(
    st.one_of(NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
DEEP = ["[" * 100_000, '{"a":' * 100_000]


@st.composite
def changed(draw, whole):
    """A JSON value in which one part is another value, is left out or has another name."""
    if not isinstance(whole, dict | list) or not whole or draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    if isinstance(whole, list):
        at = draw(st.integers(0, len(whole) - 1))
        return [*whole[:at], draw(changed(whole[at])), *whole[at + 1 :]]
    key = draw(st.sampled_from(sorted(whole)))
    match draw(st.sampled_from(["value", "value", "absent", "renamed"])):
        case "value":
            return {**whole, key: draw(changed(whole[key]))}
        case "absent":
            return {name: value for name, value in whole.items() if name != key}
        case _:
            return {
                draw(st.text(max_size=5)) if name == key else name: whole[name] for name in whole
            }


def texts(whole):
    content = json.dumps(whole).encode()
    return st.one_of(
        changed(whole).map(lambda value: json.dumps(value).encode()),
        damaged(content),
        st.sampled_from(DEEP).map(str.encode),
    )


SETTINGS = config(Path("tiny"))
EXPECTED = {
    "sha256": {"CUB_200_2011.tgz": "ab" * 32},
    "counts": {"train_images": 1, "train_classes": 1, "test_images": 1, "test_classes": 1},
}
TRUSTED = {"cub/a.tgz": {"sha256": "ab" * 32, "bytes": 3, "first_seen": "2026-01-01"}}


def trust(path):
    copy = path.parent / "out/trusted.json"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(path.read_bytes())
    Trust(copy, "cub/a.tgz").expected(3)
    Trust(copy, "cub/b.tgz").record("cd" * 32, 3, "https://mirror.example/b.tgz")


READERS = {
    "settings": (SETTINGS, lambda path: Settings.from_json(read_json(path))),
    "expect": (EXPECTED, lambda path: datasets.load("cub").expecting(path)),
    "trusted": (TRUSTED, trust),
}


@pytest.mark.parametrize("name", READERS)
def test_damaged_json(name, tmp_path):
    whole, read = READERS[name]

    @fuzzed
    @given(texts(whole))
    def run(content):
        harmless(read, tmp_path / "a.json", content)

    assert harmless(read, tmp_path / "a.json", json.dumps(whole).encode())
    run()


def test_a_damaged_receipt_is_none(tmp_path):
    receipt = {"file": "a", "bytes": 3, "mtime_ns": 1, "sha256": "ab", "md5": None}

    @fuzzed
    @given(texts({**receipt, "source": "by hand", "published": True}))
    def run(content):
        assert harmless(
            lambda path: read_receipt(path.parent, "a"), tmp_path / "a.verified.json", content
        )

    run()


@pytest.mark.parametrize("name", ["metrics.json", "run.json"])
def test_damaged_records_of_a_run(name, tmp_path):
    folders = write_pair(tmp_path, CUB)
    whole = json.loads((folders[0] / name).read_text())
    read = lambda _: pair(read_runs(folders))  # noqa: E731

    @fuzzed
    @given(texts(whole))
    def run(content):
        harmless(read, folders[0] / name, content)

    assert harmless(read, folders[0] / name, json.dumps(whole).encode())
    run()


def table(header, *rows):
    stream = io.StringIO()
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue().encode()


STEP = ("resnet50", "JPEGs from disk", "tf32", 384, 64, 100.5, "H100")
TABLES = {
    "manifest": (
        table(("path", "label", "class_name"), ("a.jpg", 0, "a"), ("b.jpg", 1, "b")),
        read_manifest,
    ),
    "rates": (
        table(COLUMNS, STEP, STEP),
        measured,
    ),
    "paper": ((ROOT / "report/paper_results.csv").read_bytes(), read_paper),
    "published": ((ROOT / "report/published_recall.csv").read_bytes(), read_published),
}
CELLS = st.one_of(
    NUMBERS, st.text(max_size=8), st.sampled_from(["1e999", "9" * 30, "-", "\0", "۳"])
)


@pytest.mark.parametrize("name", TABLES)
def test_damaged_csv(name, tmp_path):
    whole, read = TABLES[name]
    header = next(csv.reader(line for line in whole.decode().splitlines() if line[0] != "#"))
    rows = st.lists(st.lists(CELLS, max_size=len(header) + 1), max_size=3)

    @fuzzed
    @given(st.one_of(damaged(whole), rows.map(lambda found: table(header, *found)), st.binary()))
    def run(content):
        harmless(read, tmp_path / "a.csv", content)

    assert harmless(read, tmp_path / "a.csv", whole)
    run()


def test_damaged_tables_of_a_suite(tmp_path):
    from tcmbench.tables.write import write_tables

    write_tables(write_pair(tmp_path / "runs", CUB), "paper", tmp_path / "tables")
    whole = (tmp_path / "tables/comparisons.csv").read_bytes()

    def read(path):
        write_claims(path.parent, path.parent / "out")

    @fuzzed
    @given(damaged(whole))
    def run(content):
        harmless(read, tmp_path / "tables/comparisons.csv", content)

    run()


CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)


def test_damaged_configurations(tmp_path):
    known, losses = datasets.names(), available_losses()
    whole = (ROOT / "config.yaml").read_bytes()

    def read(path):
        check(read_config(path), known, losses)

    yamls = changed(CONFIG).map(lambda value: yaml.safe_dump(value).encode())
    odd = st.sampled_from(
        [BOMB, "a: 2001-99-99", "? {a: b}\n: c", "!!python/object/apply:os.system [id]"]
    )

    @fuzzed
    @given(st.one_of(yamls, damaged(whole), odd.map(str.encode), st.just(DEEP[0].encode())))
    def run(content):
        harmless(read, tmp_path / "config.yaml", content)

    assert harmless(read, tmp_path / "config.yaml", whole)
    run()
