"""What every rule carries, which targets there are, and how a failure and a typo read."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from snakemake.benchmark import ScheduledPeriodicTimer

from tests.paths import ROOT
from tests.workflow.checkout import Checkout, QuickSuite

DIRECTIVES = ("log:", "benchmark:", "conda:", "threads:", "resources:", "shell:")


def rule_blocks() -> dict[str, str]:
    blocks = {}
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        parts = re.split(r"^ *rule *(\w*):$", path.read_text(), flags=re.MULTILINE)
        for index in range(1, len(parts), 2):
            blocks[f"{path.stem}:{parts[index] or index}"] = parts[index + 1]
    return blocks


@pytest.mark.parametrize("name", rule_blocks())
def test_rule_is_complete(name: str) -> None:
    block = rule_blocks()[name]
    for directive in (*DIRECTIVES, "mem_mb=", "runtime="):
        assert directive in block, f"{name} lacks {directive}"
    environment = re.search(r'conda:\s+"\.\./\.\./(envs/\w+\.yaml)"', block)
    assert environment is not None
    assert (ROOT / environment[1]).is_file()


def test_snakemake_still_takes_what_the_workflow_sets() -> None:
    """A name that Snakemake no longer reads could be set without effect."""
    name = "BENCHMARK_INTERVAL_SHORT"
    assert f"snakemake.benchmark.{name} = " in (ROOT / "workflow/rules/progress.smk").read_text()
    assert name in ScheduledPeriodicTimer._schedule.__code__.co_names


@pytest.mark.parametrize(
    ("target", "rules"),
    [
        ("data", {"download": 8, "prepare": 4}),
        ("models", {"train_smooth_ap": 16, "train_recall_at_k": 16}),
        ("tables", {"comparisons": 1, "evaluate": 32}),
        (
            "figures",
            dict.fromkeys(("figure_summary", "figure_plane"), 1)
            | {f"figure_{name}": 4 for name in ("utility", "deployer", "training", "neighbours")}
            | dict.fromkeys(("figure_toy", "figure_pareto", "page")),
        ),
        ("results/index.html", {"page": 1, "figure_neighbours": 4, "claims": None}),
    ],
)
def test_targets(empty: Checkout, target: str, rules: dict[str, int]) -> None:
    planned = empty.planned(target)
    assert {rule: planned.get(rule) for rule in rules} == rules


def test_works_from_another_folder(empty: Checkout, tmp_path: Path) -> None:
    """Results go to the working directory; the workflow's own files are found all the same."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text((empty.folder / "config.yaml").read_text())
    target = "results/tables/quick/deviations.html"
    done = empty.snakemake(target, "--cores", "1", "--directory", str(elsewhere))
    assert done.returncode == 0, done.stderr
    assert (elsewhere / target).is_file()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("check_disk:", "chek_disk:", "unknown key 'chek_disk'; did you mean 'check_disk'?"),
        ("[cub, cars196,", "[cub, cars197,", "unknown 'cars197'; did you mean 'cars196'?"),
        ("  smooth_ap:\n", "  smoth_ap:\n", "unknown 'smoth_ap'; did you mean 'smooth_ap'?"),
        ("beta: 1.0", "beta: one", "'evaluation.beta' must be of type number, not 'one'"),
    ],
)
def test_wrong_configuration_is_one_sentence(
    empty: Checkout, old: str, new: str, sentence: str
) -> None:
    with empty.edited("config.yaml", (old, new)):
        done = empty.snakemake("-n")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert sentence in said
    assert "Traceback" not in said


def test_damaged_archive_fails_its_rule_with_the_sentence_in_its_log(
    quick: QuickSuite, tmp_path: Path
) -> None:
    checkout = quick.checkout.copy(tmp_path / "tcm-bench")
    data = checkout.folder / "results/data/miniature/cub"
    with (data / "published/CUB_200_2011.tgz").open("ab") as stream:
        stream.write(b"more")
    archive = data / "archives/CUB_200_2011.tgz"
    archive.unlink()
    target = "results/data/miniature/cub/archives/CUB_200_2011.tgz.verified.json"
    (checkout.folder / target).unlink()
    done = checkout.snakemake(target, "--cores", "1", "--retries", "0")
    assert done.returncode != 0
    log = (data / "logs/download_CUB_200_2011.tgz.log").read_text()
    assert "expected sha256" in log
    assert "Traceback" not in log
    assert not archive.exists()


def test_test_images_are_decoded_once_for_all_runs_of_the_paper(empty: Checkout) -> None:
    paper = ("--config", "suite=paper", "device=cpu", "check_disk=False")
    planned = empty.planned(*paper)
    assert (planned["evaluation_view"], planned["embed"]) == (4, 32)
    assert "evaluation_view" not in empty.planned()  # a miniature is decoded sooner
    # The real rule on a split that is there already.
    folder = empty.folder / "results/data/full/cub"
    (folder / "images").mkdir(parents=True)
    for number in range(3):
        pixels = np.full((300, 280, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{number}.png")
    rows = [f"images/{number}.png,{number},name" for number in range(3)]
    (folder / "test.csv").write_text("\n".join(["path,label,class_name", *rows]) + "\n")
    stored = "results/data/full/cub/views/256_224.npy"
    only = ("--allowed-rules", "evaluation_view")
    done = empty.snakemake(stored, "--cores", "1", *only, *paper)
    assert done.returncode == 0, done.stderr
    found = np.load(empty.folder / stored)
    assert found.shape == (3, 3, 224, 224)
    assert [image.max() for image in found] == [image.min() for image in found] == [0, 60, 120]


def test_start_weights_are_fetched_as_pinned(empty: Checkout) -> None:
    """The commit and the hash of config.yaml reach the command; a file by hand is an input."""
    target, paper = "results/weights/resnet50.safetensors", ("suite=paper", "device=cpu")
    done = empty.snakemake("-n", "-p", target, "--config", *paper)
    assert done.returncode == 0, done.stderr
    assert re.search(r"--revision 78f3ec\w{34} --sha256 5d061a\w{58} --out", done.stdout)
    (empty.folder / "by hand.safetensors").write_bytes(b"other")
    entry = "    timm: resnet50.tv_in1k\n"
    with empty.edited("config.yaml", (entry, f'{entry}    file: "by hand.safetensors"\n')):
        done = empty.snakemake(target, "--cores", "1", "--config", *paper)
    assert done.returncode != 0
    log = (empty.folder / "results/weights/resnet50.log").read_text()
    assert log.startswith(
        "error: by hand.safetensors is not the model.safetensors of timm/resnet50"
    )
