"""A tenth of the paper suite, at full scale: from mirrors over HTTP to the page."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tcmbench import datasets
from tcmbench.tables.notes import MINIATURES
from tests.rehearsal.__main__ import COMMAND, environment
from tests.rehearsal.overlay import OVERLAY, rehearsal
from tests.rehearsal.published import NAMES
from tests.rehearsal.server import serving
from tests.workflow.checkout import Checkout

SHARE = 0.1
# One backbone and loss: the other three pairs differ from it in a recipe, not in a rule.
SUITE = {"backbones": ["resnet50"], "losses": ["recall_at_k"]}
# Two jobs beside each other start sooner than one on two cores.
ONE_THREAD = [
    f"{name}=1" for name in ("prepare", "train_recall_at_k", "evaluation_view", "embed", "evaluate")
]


@dataclass(frozen=True)
class Rehearsed:
    """The copy of the checkout after its run, what it printed, and what it asked the mirrors."""

    checkout: Checkout
    output: str
    asked: list[str]

    def table(self, name: str) -> list[dict[str, str]]:
        path = self.checkout.folder / f"results/tables/paper/{name}.csv"
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    published = tmp_path_factory.mktemp("rehearsal") / "published"
    published.mkdir()
    with serving(published) as server:
        folder = published.with_name("tcm-bench")
        checkout = rehearsal(folder, published, server.url, SHARE, SUITE)
        variables = environment(published, server.url)
        done = checkout.run(*COMMAND, "--set-threads", *ONE_THREAD, **variables)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        yield Rehearsed(checkout, done.stdout + done.stderr, server.asked)


def test_every_archive_and_the_weights_were_fetched_once(rehearsed: Rehearsed) -> None:
    # Below /api are questions of the hub's client.
    asked = [line.removeprefix("GET ") for line in rehearsed.asked if line.startswith("GET ")]
    fetched = Counter(path for path in asked if not path.startswith("/api/"))
    archives = [
        f"/{name}/{archive.name}"
        for name in NAMES
        for archive in datasets.load(name).layout().archives
    ]
    (weights,) = (path for path in fetched if path.startswith("/timm/"))
    assert weights.startswith("/timm/resnet50.tv_in1k/resolve/78f3ecfd")
    assert fetched == Counter([*archives, weights])


def test_images_and_classes_are_a_tenth_of_the_published(rehearsed: Rehearsed) -> None:
    found = {row["dataset"]: row for row in rehearsed.table("runs")}
    assert set(found) == set(NAMES)
    for name, row in found.items():
        counts = datasets.load(name).counts
        assert int(row["num_images"]) == pytest.approx(SHARE * counts.test_images, rel=0.01)
        assert int(row["num_classes"]) == pytest.approx(SHARE * counts.test_classes, rel=0.03)
        manifest = rehearsed.checkout.folder / f"results/data/full/{name}/train.csv"
        images = len(manifest.read_text().splitlines()) - 1
        assert images == pytest.approx(SHARE * counts.train_images, rel=0.01)


def test_table_and_page_are_of_full_scale(rehearsed: Rehearsed) -> None:
    rows = rehearsed.table("comparisons")
    assert [row["dataset"] for row in rows] == list(NAMES)
    assert {row["scale"] for row in rows} == {"full"}
    assert {row["interval"] for row in rows} == {"class bootstrap"}
    # Pictures of a class share their colours, which any network sees.
    assert all(0.05 < float(row["recall_at_1_base"]) < 1 for row in rows)
    page = (rehearsed.checkout.folder / "results/index.html").read_text()
    for title in ("CUB-200-2011", "Cars196", "SOP", "iNaturalist-2018"):
        assert title in page
    assert MINIATURES not in page


def test_trainings_saw_the_whole_manifest_and_took_few_steps(rehearsed: Rehearsed) -> None:
    records = sorted((rehearsed.checkout.folder / "results/runs").rglob("run.json"))
    assert len(records) == 8
    for path in records:
        record = json.loads(path.read_text())
        assert 2 <= record["steps"] <= 40
        assert record["config"]["model"]["timm"] == "resnet50.tv_in1k"
        assert record["config"]["optimization"]["batch_size"] > 40


def test_nothing_is_left_to_do_and_the_rest_of_the_grid_is_planned(rehearsed: Rehearsed) -> None:
    checkout = rehearsed.checkout
    options = ("--configfile", OVERLAY, "--config", "suite=paper")
    assert checkout.planned(*options) == {}
    overlay = checkout.folder / OVERLAY
    content = yaml.safe_load(overlay.read_text())
    # Keys in another order are the same configuration.
    whole = yaml.safe_dump(content | {"suites": {}}, sort_keys=True)
    (checkout.folder / "whole.yaml").write_text(whole)
    planned = checkout.planned("--configfile", "whole.yaml", "--config", "suite=paper")
    assert {rule: planned.get(rule) for rule in ("download", "prepare", "evaluation_view")} == {
        "download": None,
        "prepare": None,
        "evaluation_view": None,
    }
    assert planned["train_smooth_ap"] == 16
    assert planned["train_recall_at_k"] == 8
    assert planned["embed"] == planned["evaluate"] == 24
