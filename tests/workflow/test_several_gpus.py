"""Two workflows on one machine share out its pretended GPUs, and one training takes several."""

import itertools
import json
import re
from collections import defaultdict
from pathlib import Path

import yaml

from tests.workflow.checkout import Checkout, fresh_checkout
from tests.workflow.stubs import TRAINING, prepare, stub

PROFILE = ("--workflow-profile", "workflow/profiles/multi-gpu")
SEEDS = 3
# Takes a GPU as a training does, and notes which one and from when to when.
CLAIM = """
from tcmbench.common.devices import claim_indices, physical_names
names = physical_names(2)
(card,) = claim_indices(names)
since = time.time()
time.sleep(1)
with open("cards.txt", "a") as stream:
    stream.write(f"{names[card]} {since} {time.time()}\\n")
"""
FOLDER = "results/runs/cub/scratch_resnet/smooth_ap/base/seed0"


def test_two_workflows_never_share_a_gpu(tmp_path: Path) -> None:
    checkouts = [fresh_checkout(tmp_path / name / "tcm-bench") for name in ("one", "two")]
    here = {"CUDA_VISIBLE_DEVICES": "4,6", "TMPDIR": str(tmp_path)}
    models = [
        f"results/runs/cub/test_resnet/smooth_ap/base/seed{seed}/model.safetensors"
        for seed in range(SEEDS)
    ]
    words = ("snakemake", *PROFILE, "--cores", "8", "--config", "device=cuda", *TRAINING[:-1])
    running = []
    for checkout in checkouts:
        prepare(checkout, seeds=SEEDS)
        stub(checkout, CLAIM)
        log = checkout.folder / "out"
        running.append((checkout.start(*words, *models, log=log, **here), log))
    for process, log in running:
        assert process.wait(600) == 0, log.read_text()[-3000:]
    spans = defaultdict(list)
    for checkout in checkouts:
        for line in (checkout.folder / "cards.txt").read_text().splitlines():
            card, *span = line.split()
            spans[card].append([float(moment) for moment in span])
    assert set(spans) == {"4", "6"}
    assert sum(map(len, spans.values())) == 2 * SEEDS
    for taken in spans.values():
        taken.sort()
        for (_, ended), (began, _) in itertools.pairwise(taken):
            assert ended <= began


def shared_by_two(checkout: Checkout) -> tuple[str, ...]:
    """Configure one short training of two processes, from random weights."""
    config = yaml.safe_load((checkout.folder / "config.yaml").read_text())
    short = {
        "epochs": 1,
        "milestones": [1],
        "chunk_size": 20,
        "batch_size": 64,
        "samples_per_class": 4,
    }
    recipe = {"where": {"backbone": "scratch_resnet"}, "set": {**short, "gpus_per_run": 2}}
    suite = {
        "scale": "miniature",
        "datasets": ["cub"],
        "backbones": ["scratch_resnet"],
        "losses": ["smooth_ap"],
        "variants": ["base"],
    }
    values = {"suite": "quick", "suites": {"quick": suite}, "recipes": [*config["recipes"], recipe]}
    (checkout.folder / "two.yaml").write_text(yaml.safe_dump(values))
    return ("--configfile", "two.yaml", "--", f"{FOLDER}/model.safetensors")


def test_a_training_of_two_processes_runs_in_the_workflow(empty: Checkout) -> None:
    words = shared_by_two(empty)
    two = ("--resources", "gpu=2", "--config", "device=cuda")
    planned = empty.run("snakemake", "-n", "--cores", "2", *two, *words)
    assert re.search(r"resources: .*gpu=2,.* mem_mb=3000,", planned.stdout), planned.stderr
    done = empty.run("snakemake", "--cores", "2", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((empty.folder / FOLDER / "run.json").read_text())
    assert record["num_processes"] == 2
    assert record["config"]["compute"]["processes"] == 2
