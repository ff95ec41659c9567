"""A loss of the user's own: in the folder, outside the repository, and with a rule of its own."""

from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.checkout import Checkout, QuickSuite

# Mean cosine of negatives minus that of positives: simple enough to be seen through.
LOSS = '''
"""Mean similarity of negative pairs minus that of positive pairs."""

import torch
from torch import Tensor, nn


class MeanGap(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        similarity = embeddings @ embeddings.T
        same = labels[:, None] == labels[None, :]
        return self.scale * (similarity[~same].mean() - similarity[same].mean())
'''

# A training that differs in kind: the network stays as it starts.
SCRIPT = """
import json, sys
from pathlib import Path

sys.path.append(sys.argv[1])
from tcmbench.common.files import write_json
from tcmbench.models.network import EmbeddingModel, save_tensors
from tcmbench.training.settings import Settings

settings = Settings.from_json(json.load(sys.stdin))
folder = Path(sys.argv[2])
save_tensors(EmbeddingModel(settings.model), folder / "model.safetensors")
write_json(folder / "run.json", {"config": settings.to_json()})
"""

RULE = """
rule train_untrained:
    output:
        model="results/runs/{dataset}/{backbone}/untrained/{variant}/seed{seed}/model.safetensors",
        record="results/runs/{dataset}/{backbone}/untrained/{variant}/seed{seed}/run.json",
    params:
        config=train_json("untrained"),
        folder=subpath(output.model, parent=True),
        src=SRC,
    shell:
        "python ../untrained.py {params.src} {params.folder} <<< {params.config:q}"
"""

SUITE = """suites:
  small:
    scale: miniature
    datasets: [cub]
    backbones: [test_resnet]
"""

ENTRIES = """losses:
  mean_gap:
    suites: [small]
  elsewhere:
    file: ../elsewhere.py
    params: {scale: 2.0}
    suites: [small]
  untrained:
    rule: custom
    suites: [small]
"""


@pytest.fixture(scope="module")
def extended(quick: QuickSuite, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The finished quick suite, with three more losses in a small suite that shares its runs."""
    folder = tmp_path_factory.mktemp("extended")
    checkout = quick.checkout.copy(folder / "tcm-bench")
    (checkout.folder / "src/tcmbench/losses/mean_gap.py").write_text(LOSS)
    (folder / "elsewhere.py").write_text(LOSS)
    (folder / "untrained.py").write_text(SCRIPT)
    (folder / "extra.smk").write_text(RULE)
    config = checkout.folder / "config.yaml"
    text = config.read_text().replace("suites:\n", SUITE, 1).replace("\nlosses:\n", f"\n{ENTRIES}")
    config.write_text(text.replace("custom_rules: []", "custom_rules: [../extra.smk]"))
    return checkout


def test_exactly_the_new_runs_appear(extended: Checkout) -> None:
    planned = extended.planned("--config", "suite=small")
    assert {rule: count for rule, count in planned.items() if rule.startswith("train_")} == {
        "train_mean_gap": 2,
        "train_elsewhere": 2,
        "train_untrained": 2,
    }
    assert (planned["embed"], planned["evaluate"]) == (6, 6)


def test_losses_are_rules(extended: Checkout) -> None:
    listed = extended.snakemake("--list").stdout.split()
    for name in ("smooth_ap", "recall_at_k", "mean_gap", "elsewhere", "untrained"):
        assert f"train_{name}" in listed
    graph = extended.snakemake("--rulegraph", "--config", "suite=small").stdout
    assert "train_mean_gap" in graph


def test_other_suites_do_not_see_them(extended: Checkout) -> None:
    assert extended.planned() == {}


def test_one_entry_joins_every_suite(quick: QuickSuite) -> None:
    """Without `suites:` an entry adds its runs to the quick suite's 32 and repeats none of them."""
    path = quick.checkout.folder / "src/tcmbench/losses/mean_gap.py"
    path.write_text(LOSS)
    try:
        with quick.checkout.edited("config.yaml", ("\nlosses:\n", "\nlosses:\n  mean_gap: {}\n")):
            planned = quick.checkout.planned()
    finally:
        path.unlink()
    assert planned.pop("train_mean_gap") == 16
    assert not [rule for rule in planned if rule.startswith("train_")]


def test_they_train_and_the_table_gains_their_rows(extended: Checkout) -> None:
    before = runs_of(extended, "smooth_ap")
    done = extended.snakemake("--cores", "2", "--config", "suite=small")
    assert done.returncode == 0, done.stderr[-3000:]
    table = pd.read_csv(extended.folder / "results/tables/small/comparisons.csv")
    assert set(table.loss) == {"smooth_ap", "recall_at_k", "mean_gap", "elsewhere", "untrained"}
    assert runs_of(extended, "smooth_ap") == before, "no old run is repeated"
    scored = table.set_index("loss").recall_at_1_base
    assert scored["mean_gap"] > scored["untrained"]


def runs_of(checkout: Checkout, loss: str) -> dict[Path, int]:
    models = checkout.folder.glob(f"results/runs/*/*/{loss}/*/seed0/model.safetensors")
    return {path: path.stat().st_mtime_ns for path in models}
