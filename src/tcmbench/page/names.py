"""How the page calls a run, and where on the page the run stands."""

import re
from pathlib import Path

from tcmbench.plots.curves import cell_title
from tcmbench.tables.names import VARIANTS, dataset_title
from tcmbench.tables.runs import MeasuredRun


def anchor(folder: Path) -> str:
    """Return the identifier of a run's section, made of its five names."""
    return "run-" + re.sub(r"[^\w.-]", "_", "-".join(folder.absolute().parts[-5:]))


def run_title(run: MeasuredRun) -> str:
    """Return dataset, backbone, loss, variant and seed, as printed."""
    who = run.run
    cell = cell_title(who.backbone, who.loss)
    dataset = dataset_title(who.dataset, run.scale)
    return f"{dataset} · {cell} · {VARIANTS[who.variant]} · seed {who.seed}"
