"""One training of the quick suite, whose inputs lie there already and whose command is a stub."""

from pathlib import Path

from tests.workflow.checkout import Checkout

SUITE = """
suite: quick
suites:
  quick:
    scale: miniature
    datasets: [cub]
    backbones: [test_resnet]
    losses: [smooth_ap]
    variants: [base]
    seeds: SEEDS
"""
FOLDER = "results/runs/cub/test_resnet/smooth_ap/base/seed0"
MODEL = f"{FOLDER}/model.safetensors"
TRAINING = ("--configfile", "one.yaml", "--allowed-rules", "train_smooth_ap", "--", MODEL)

# Notes by which Python and when it ran, and writes what is declared.
STUB = """
import sys, time
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--out") + 1])
began = time.time()
ENDING
with open("ran.txt", "a") as stream:
    stream.write(f"{began} {time.time()} {sys.executable}\\n")
(folder / "model.safetensors").write_text("stub")
(folder / "run.json").write_text(f'{{"config": {sys.stdin.read()}}}')
"""


def prepare(checkout: Checkout, seeds: int = 1) -> None:
    """Put a suite of so many trainings and their inputs into a checkout."""
    text = SUITE.replace("SEEDS", str(list(range(seeds))))
    (checkout.folder / "one.yaml").write_text(text)
    for name in ("data/miniature/cub/train.csv", "weights/test_resnet.safetensors"):
        path = checkout.folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stub")
    stub(checkout)


def stub(checkout: Checkout, ending: str = "") -> None:
    """Let a training be this, of which `ending` is what may go wrong."""
    (checkout.folder / "src/train.py").write_text(STUB.replace("ENDING", ending))


def starts(checkout: Checkout) -> list[list[str]]:
    """Return the words of each line of `ran.txt`: begin, end and Python of each training."""
    ran = checkout.folder / "ran.txt"
    return [line.split() for line in ran.read_text().splitlines()] if ran.exists() else []


def content(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
