"""Two clean checkouts, elsewhere and as other users: the same numbers, and no trace of who ran."""

from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout, fresh_checkout

SUITE = """
  clones:
    scale: miniature
    datasets: [cub]
    backbones: [test_resnet]
    losses: [smooth_ap]
    variants: [base, tcm]
    seeds: [0]
"""
TABLE = "results/tables/clones/comparisons.csv"
# Every Python of a job asks these for the name of the machine.
NAMED = """
import os, platform, socket
_uname = os.uname()
os.uname = lambda: os.uname_result((_uname[0], "{host}", *_uname[2:]))
socket.gethostname = socket.getfqdn = platform.node = lambda *_: "{host}"
"""


def run(folder: Path, name: str, *targets: str) -> Checkout:
    """Run the smallest suite of a base and a TCM run in a checkout, as someone on some machine."""
    home = folder / f"home-of-{name}"
    checkout = fresh_checkout(home / f"checkout of {name}")
    config = checkout.folder / "config.yaml"
    text = config.read_text().replace("\nsuites:\n", f"\nsuites:{SUITE}", 1)
    # Random weights and one epoch: what is compared is not how good they are.
    text = text.replace("    weights: digits\n", "    weights: none\n", 1)
    text = text.replace("      epochs: 10\n", "      epochs: 1\n", 1)
    config.write_text(text)
    (home / "site").mkdir()
    (home / "site/sitecustomize.py").write_text(NAMED.format(host=f"host-of-{name}"))
    user = f"user-{name}"
    who = {"HOME": str(home), "USER": user, "LOGNAME": user, "PYTHONPATH": str(home / "site")}
    done = checkout.snakemake(
        *targets, "--cores", "2", "--quiet", "all", "--config", "suite=clones", **who
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return checkout


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return run(tmp_path_factory.mktemp("first"), "anna")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return run(tmp_path_factory.mktemp("second"), "bert", TABLE)


def test_two_clean_clones_give_the_same_comparisons(anna: Checkout, bert: Checkout) -> None:
    first, second = ((clone.folder / TABLE).read_bytes() for clone in (anna, bert))
    assert first.count(b"\n") == 2
    assert first == second
    runs = Path("results/runs/cub/test_resnet/smooth_ap")
    for run in ("base", "tcm"):
        for name in ("model.safetensors", "utility.parquet", "classes.parquet"):
            file = runs / run / "seed0" / name
            assert (anna.folder / file).read_bytes() == (bert.folder / file).read_bytes()


def test_nothing_made_names_host_user_or_place(anna: Checkout) -> None:
    files = [path for path in (anna.folder / "results").rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files}
    assert {".json", ".csv", ".html", ".svg", ".pdf", ".png", ".npz", ".log"} <= suffixes
    traces = [b"host-of-anna", b"user-anna", b"home-of-anna", str(anna.folder).encode()]
    told = [
        (str(path.relative_to(anna.folder)), trace)
        for path in files
        for trace in traces
        if trace in path.read_bytes() or trace.decode() in path.name
    ]
    assert told == []
