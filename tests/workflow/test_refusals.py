"""What cannot work is refused before an output is touched; what is refused is not tried again."""

from pathlib import Path

import pytest

from tests.workflow.checkout import BIN, Checkout
from tests.workflow.stubs import FOLDER, MODEL, TRAINING, content, prepare, starts, stub

MISSPELT = "losses: {smooth_ap: {params: {temprature: 0.02}}}\n"
REFUSED = "print('error: no such thing', file=sys.stderr); note(); sys.exit(2)"
KILLED = "print('working', flush=True); note(); os.kill(os.getpid(), 9)"
NOTE = "import os\nnote = lambda: open('ran.txt', 'a').write('0 0 failed\\n')\n"


@pytest.fixture
def ready(empty: Checkout) -> Checkout:
    prepare(empty)
    return empty


def test_a_finished_model_survives_a_misspelt_parameter(ready: Checkout) -> None:
    # Called by its full path, in an environment that is not activated and has no `python`.
    bare = ("env", "PATH=/usr/bin:/bin", f"{BIN}/snakemake", "--cores", "1")
    done = ready.run(*bare, *TRAINING)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [Path(words[2]) for words in starts(ready)] == [BIN / "python"]

    before = content(ready.folder / FOLDER)
    (ready.folder / "misspelt.yaml").write_text(MISSPELT)
    wrong = ("--configfile", "one.yaml", "misspelt.yaml", *TRAINING[2:])
    for options in (("-n",), ()):
        done = ready.run("snakemake", "--cores", "1", *options, *wrong)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        assert "loss 'smooth_ap' has no parameter 'temprature'; did you mean 'temperature'?" in said
        assert "Traceback" not in said
    assert content(ready.folder / FOLDER) == before
    # Its record is there too: with the right spelling nothing is to be done.
    done = ready.run("snakemake", "--cores", "1", "-n", *TRAINING)
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("ending", "said", "tries"),
    [(REFUSED, "error: no such thing", 1), (KILLED, "working", 4)],
    ids=["refused", "killed"],
)
def test_a_refused_job_is_not_tried_again(
    ready: Checkout, ending: str, said: str, tries: int
) -> None:
    stub(ready, NOTE + ending)
    done = ready.run("snakemake", "--cores", "1", "--quiet", "all", *TRAINING)
    assert done.returncode != 0
    assert len(starts(ready)) == tries
    line = f"[tcm-bench] train_smooth_ap failed: {said} (log: {FOLDER}/train.log)"
    assert done.stderr.splitlines().count(line) == tries
    # Each try continues the log of the one before.
    assert (ready.folder / FOLDER / "train.log").read_text().splitlines() == [said] * tries
    assert not (ready.folder / MODEL).exists()


def test_a_checkout_that_was_moved_or_is_reached_by_a_link_has_nothing_to_do(
    ready: Checkout, tmp_path: Path
) -> None:
    done = ready.run("snakemake", "--cores", "1", *TRAINING)
    assert done.returncode == 0, done.stderr[-3000:]
    link, moved = tmp_path / "a link", tmp_path / "elsewhere" / "moved é"
    link.symlink_to(ready.folder)
    by_link = ("snakemake", "--cores", "1", "-n", "--snakefile", str(link / "Snakefile"), *TRAINING)
    found = [ready.run(*by_link)]
    found.append(Checkout(link).run("snakemake", "--cores", "1", "-n", *TRAINING))
    moved.parent.mkdir()
    ready.folder.rename(moved)
    found.append(Checkout(moved).run("snakemake", "--cores", "1", "-n", *TRAINING))
    for done in found:
        assert "Nothing to be done" in done.stdout + done.stderr, done.stdout + done.stderr
