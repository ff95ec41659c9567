"""Every code block of README, CONTRIBUTING and docs/ does what its page says, or says why not."""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from snakemake.cli import get_argument_parser, parse_config

from tcmbench import commands
from tcmbench.losses import load_loss
from tests.documents.pages import PAGES, Block, blocks, without_blocks
from tests.documents.sandbox import needs_snakemake, run
from tests.paths import ROOT
from tests.workflow.checkout import Checkout, fresh_checkout

REASONS = (
    r"not run: needs .*(GPU|network|package index|nodes|repository|config\.yaml).*"
    r"|run after: make quick"
)
WITH_BLOCKS = [page for page in PAGES if any(not block.mark for block in blocks(page))]
WITH_WORKFLOW = [page for page in WITH_BLOCKS if any(map(needs_snakemake, blocks(page)))]


@dataclass(frozen=True)
class Ran:
    """A page after its blocks were run: where, what they printed, what Python has defined."""

    checkout: Checkout
    printed: str
    names: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Callable[..., Ran]:
    """Run a page from top to bottom, once; what needs Snakemake only with `workflow`."""

    @functools.cache
    def run_page(page: str, *, workflow: bool = False) -> Ran:
        torch.manual_seed(0)
        checkout = fresh_checkout(tmp_path_factory.mktemp("page") / "tcm-bench")
        (checkout.folder / "my_train.py").touch()  # the reader's, says docs/losses.md
        names: dict[str, Any] = {}
        printed = [
            run(checkout, block, names)
            for block in blocks(page)
            if not block.mark and (workflow or not needs_snakemake(block))
        ]
        return Ran(checkout, "".join(printed), names)

    return run_page


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return fresh_checkout(tmp_path / "tcm-bench")


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_a_page_runs(page, ran):
    ran(page)


@pytest.mark.workflow
@pytest.mark.parametrize("page", WITH_WORKFLOW)
def test_a_page_runs_with_the_workflow(page, ran):
    ran(page, workflow=True)


def test_a_block_that_does_not_run_says_why():
    marks = [block.mark for page in PAGES for block in blocks(page) if block.mark]
    assert marks
    assert not [mark for mark in marks if not re.fullmatch(REASONS, mark)]


@pytest.mark.parametrize(("language", "code"), [("rust", "fn main() {}\n"), ("", "curl x\n")])
def test_a_block_of_another_kind_is_noticed(language, code, checkout):
    with pytest.raises(AssertionError, match="nothing runs"):
        run(checkout, Block("page.md", "", language, code), {})


def test_every_fence_is_a_block():
    for page, text in PAGES.items():
        assert text.count("```") == 2 * len(blocks(page)), page


# --- commands inside sentences ------------------------------------------------------------------

INLINE = [
    (page, code)
    for page in PAGES
    for code in re.findall(r"`((?:snakemake|python|tcmbench) [^`]+)`", without_blocks(page))
]


@pytest.mark.parametrize(("page", "code"), INLINE)
def test_a_command_in_a_sentence_is_understood(page, code):
    program, *words = code.split()
    if program == "snakemake":
        parse_config(get_argument_parser().parse_args(words).config)
    elif program == "tcmbench":
        assert words[0] in commands.names(), f"{page}: {code}"
    else:
        assert (ROOT / words[0]).is_file(), f"{page}: {code}"


def test_a_target_behind_config_is_not_understood():
    with pytest.raises(ValueError, match="name=value pairs"):
        test_a_command_in_a_sentence_is_understood("", "snakemake --config suite=quick data")


# --- what single pages promise ------------------------------------------------------------------


def test_the_library_page(ran):
    done = ran("docs/library.md")
    assert done.names["result"].utility.shape == (20, 101)
    assert done.names["total"].item() > 0
    assert "(20, 101)" in done.printed


def test_the_embeddings_page(ran):
    done = ran("docs/embeddings.md")
    assert "1 %" in done.printed
    for folder, name in (
        (".", "metrics.json"),
        (".", "utility.parquet"),
        (".", "classes.parquet"),
        ("threshold", "threshold.json"),
        ("threshold", "threshold.html"),
        ("threshold", "threshold.svg"),
        ("threshold", "classes.csv"),
        ("threshold", "applied.csv"),
        ("compared", "compare.svg"),
        ("F", "metrics.json"),
        ("T", "entries.csv"),
        ("G", "entries.svg"),
    ):
        assert (done.checkout.folder / folder / name).stat().st_size > 0


def test_the_example_loss_by_hand(tmp_path):
    (code,) = (block.code for block in blocks("docs/losses.md") if block.language == "python")
    path = tmp_path / "binomial_deviance.py"
    path.write_text(code)
    loss = load_loss("binomial_deviance", {"scale": 2.0, "margin": 0.4}, file=path)
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    # Cosines of positives (0,1) 0.6 and (2,3) 0, so 2 (s - 0.4) is 0.4 and -0.8; of negatives
    # (0,2) 1, (0,3) 0, (1,2) 0.6 and (1,3) 0.8, so it is 1.2, -0.8, 0.4 and 0.8.
    positive = sum(math.log(1 + math.exp(-x)) for x in (0.4, -0.8)) / 2
    negative = sum(math.log(1 + math.exp(x)) for x in (1.2, -0.8, 0.4, 0.8)) / 4
    found = loss(rows, torch.tensor([0, 0, 1, 1])).item()
    assert found == pytest.approx(positive + negative, abs=1e-6)


def jobs(printed: str, name: str = "train") -> list[dict[str, int]]:
    """Return the counts of rules that begin with `name`, of each dry run."""
    tables = [part for part in printed.split("Job stats:")[1:] if part.strip()]
    found = [re.findall(rf"^({name}_\w+) +(\d+)$", part, re.MULTILINE) for part in tables]
    return [{rule: int(count) for rule, count in rows} for rows in found]


@pytest.mark.workflow
def test_the_example_loss_and_rule_join_the_workflow(ran):
    printed = ran("docs/losses.md", workflow=True).printed
    assert " passed" in printed
    names = ("train_binomial_deviance", "train_recall_at_k", "train_smooth_ap")
    counts = jobs(printed)
    assert counts[0] == dict.fromkeys(names, 16)
    assert counts[-1] == dict.fromkeys((*names, "train_mine"), 16)


@pytest.mark.workflow
def test_a_file_over_config_yaml_merges_mappings_and_replaces_lists(ran, checkout):
    first, *others = jobs(ran("docs/configuration.md", workflow=True).printed)
    # One dataset of four and three seeds: 1 x 2 networks x 2 variants x 3 for each loss.
    assert first == {"train_recall_at_k": 12, "train_smooth_ap": 12}
    assert {"train_recall_at_k": 2} in others
    (checkout.folder / "mine.yaml").write_text(
        "recipes: [{where: {scale: miniature}, set: {epochs: 1}}]\n"
    )
    done = checkout.run("snakemake", "-n", "--configfile", "mine.yaml")
    assert done.returncode != 0
    assert "no recipe in config.yaml sets" in done.stdout + done.stderr


@pytest.mark.workflow
def test_the_dry_run_is_readable(checkout):
    done = checkout.run("snakemake", "-n", "--quiet", "rules", "host")
    assert done.returncode == 0, done.stderr
    # Snakemake shows the table twice, on both sides of the jobs it is told to leave out.
    assert len((done.stdout + done.stderr).splitlines()) < 80


@pytest.mark.workflow
@pytest.mark.parametrize("profile", ["slurm", "multi-gpu"])
def test_profiles_are_understood(profile, checkout):
    # The executor of a cluster is not installed here; its settings are read all the same.
    folder = f"workflow/profiles/{profile}"
    done = checkout.run(*f"snakemake -n --executor local --workflow-profile {folder}".split())
    assert done.returncode == 0, done.stderr
    assert "train_smooth_ap" in done.stdout + done.stderr
