"""`only=` and `seeds=` on the command line and in a profile, and what is shown beside."""

import json
import re
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout, QuickSuite

ONE = ("--config", "suite=quick", "only=cub,test_resnet,smooth_ap")
PROFILE = """config:
  - suite=quick
  - only=cub,test_resnet
  - seeds=0-1,5
"""
STRICT = """evaluation:
  - {name: usual}
  - {name: strict, far_range: [0.002, 0.02]}
"""


def table(checkout: Checkout, name: str = "") -> str:
    return (checkout.folder / "results/tables/quick" / name / "comparisons.md").read_text()


def rows(text: str) -> int:
    return sum(line.startswith("| ") for line in text.splitlines()) - 1


def test_a_selection_plans_its_runs_alone(empty: Checkout) -> None:
    config = ("--config", "suite=quick", "only=cub,test_resnet", "seeds=0-1,5")
    planned = empty.planned(*config)
    trainings = {rule: count for rule, count in planned.items() if rule.startswith("train_")}
    assert trainings == {"train_smooth_ap": 6, "train_recall_at_k": 6}
    assert planned["prepare"] == planned["weights"] == planned["figure_utility"] == 1
    (empty.folder / "mine").mkdir()
    (empty.folder / "mine/profile.yaml").write_text(PROFILE)
    # `planned` would name the suite on the command line, which hides the profile's `config`.
    done = empty.run("snakemake", "-n", "--quiet", "rules", "--workflow-profile", "mine")
    for rule, count in trainings.items():
        assert re.search(rf"^{rule} +{count}$", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("cub,test_resnt", "'test_resnt', which is no dataset, backbone, loss or variant; did you"),
        ("resnet50", "the backbone 'resnet50', which suite 'quick' does not have; its backbones"),
    ],
)
def test_a_wrong_name_is_one_sentence(empty: Checkout, only: str, words: str) -> None:
    done = empty.snakemake("-n", "--config", "suite=quick", f"only={only}")
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_runs_without_partner_are_measured_and_not_compared(empty: Checkout) -> None:
    planned = empty.planned("--config", "suite=quick", "only=tcm,cub,test_vit")
    assert planned["evaluate"] == 2
    assert "comparisons" not in planned
    assert "page" not in planned


def test_finished_runs_stay_in_the_tables(quick: QuickSuite, tmp_path: Path) -> None:
    """Never dropped, and never planned: they are shown as they are."""
    checkout = quick.checkout.copy(tmp_path / "copy")
    # The figures of the one dataset are drawn anew, for they name the runs beside the chosen ones.
    assert checkout.snakemake("--cores", "1", *ONE).returncode == 0
    assert rows(table(checkout)) == 16
    assert "part of the suite" not in table(checkout)
    (checkout.folder / "results/runs/sop").rename(tmp_path / "sop")
    planned = checkout.planned(*ONE)
    assert set(planned) == {"comparisons", "claims", "figure_plane", "figure_summary", "page"}
    done = checkout.snakemake("--cores", "1", *ONE)
    assert done.returncode == 0, done.stderr
    assert rows(table(checkout)) == 12
    part = "Only a part of the suite: 12 of 16 comparisons."
    assert part in table(checkout)
    assert part in (checkout.folder / "results/index.html").read_text()
    assert checkout.planned(*ONE) == {}


def test_a_further_evaluation_trains_and_embeds_nothing(quick: QuickSuite, tmp_path: Path) -> None:
    checkout = quick.checkout.copy(tmp_path / "copy")
    (checkout.folder / "strict.yaml").write_text(STRICT)
    options = ("--configfile", "strict.yaml", *ONE)
    planned = checkout.planned(*options)
    assert planned.pop("evaluate_further") == 2
    assert planned.pop("comparisons_further") == 1
    assert not {rule for rule in planned if rule.startswith(("train", "embed", "evaluate"))}
    done = checkout.snakemake("--cores", "2", *options)
    assert done.returncode == 0, done.stderr
    assert "evaluated cub · test_resnet · smooth_ap · tcm · seed 0 · strict: R@1 " in done.stderr
    run = checkout.folder / "results/runs/cub/test_resnet/smooth_ap/tcm/seed0"
    usual, strict = (json.loads((run / n / "metrics.json").read_text()) for n in ("", "strict"))
    assert strict["far_range"] == [0.002, 0.02]
    assert strict["d_min"] < usual["d_min"]
    assert strict["recall_at_1"] == usual["recall_at_1"]
    assert rows(table(checkout)) == 16
    assert "1 of 16 comparisons" in table(checkout, "strict")
    assert "Evaluation strict" in (checkout.folder / "results/index.html").read_text()
