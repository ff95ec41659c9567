"""Which files a job depends on: found by following imports, without what changes no number."""

import re
import sys
from pathlib import Path

import pytest

from tcmbench.common import sources as module
from tcmbench.common.errors import UserError
from tcmbench.common.sources import PACKAGE, sources

SRC = PACKAGE.parent


def names(script: Path, **options: tuple[str, ...]) -> set[str]:
    return {Path(path).relative_to(SRC).as_posix() for path in sources(script, **options)}


def test_training_and_evaluation_share_no_room() -> None:
    train = names(SRC / "train.py", skip=("regularizers",))
    evaluate = names(SRC / "evaluate.py")
    assert "tcmbench/training/loop.py" in train
    assert "tcmbench/metrics/engine/rates.py" in evaluate
    assert not train & evaluate


def test_training_follows_no_single_loss() -> None:
    train = names(SRC / "train.py", skip=("regularizers",))
    assert "tcmbench/losses/__init__.py" in train
    assert not {name for name in train if "smooth_ap" in name or "recall_at_k" in name}
    assert "tcmbench/regularizers/tcm.py" not in train
    assert "tcmbench/regularizers/tcm.py" in names(SRC / "train.py")


def test_a_loss_brings_its_helpers() -> None:
    assert names(SRC / "tcmbench/losses/smooth_ap.py") >= {
        "tcmbench/losses/smooth_ap.py",
        "tcmbench/losses/_soft_rank.py",
        "tcmbench/similarity.py",
    }


def test_a_page_depends_on_the_templates_and_a_training_does_not() -> None:
    templates = {"tcmbench/templates/base.html", "tcmbench/templates/base.css"}
    assert names(SRC / "page.py") >= templates | {"tcmbench/templates/index.js"}
    assert names(SRC / "aggregate.py") >= templates | {"tcmbench/templates/comparisons.tex"}
    assert not templates & (names(SRC / "train.py") | names(SRC / "figures.py"))


def test_what_changes_no_number_is_left_out() -> None:
    for script in SRC.glob("*.py"):
        assert not names(script) & {
            "tcmbench/__init__.py",
            "tcmbench/common/errors.py",
            "tcmbench/common/files.py",
            "tcmbench/common/provenance.py",
            "tcmbench/training/journal.py",
        }


def test_imports_inside_functions_and_of_modules_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tcmbench"
    (package / "room").mkdir(parents=True)
    for name, text in {
        "room/__init__.py": "",
        "room/a.py": "import tcmbench.b",
        "b.py": "import os",
        "unused.py": "",
    }.items():
        (package / name).write_text(text)
    script = tmp_path / "run.py"
    script.write_text("def f():\n    from tcmbench.room import a\n")
    monkeypatch.setattr(module, "PACKAGE", package)
    found = {Path(path).relative_to(tmp_path).as_posix() for path in sources(script)}
    assert found == {"run.py", "tcmbench/room/__init__.py", "tcmbench/room/a.py", "tcmbench/b.py"}


def test_static_closure_holds_what_really_loads() -> None:
    """An import at run time that the closure misses would be an edit that re-runs nothing."""
    import subprocess

    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tcmbench.training.loop;"
        "print(*(m.__file__ for n, m in sys.modules.items()"
        " if n.startswith('tcmbench') and m.__file__), sep='\\n')"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program, str(SRC)], capture_output=True, text=True, check=True
    ).stdout.split()
    inert = {str(path) for path in module.INERT}
    assert set(loaded) - inert <= set(sources(SRC / "train.py"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "does not exist; correct the path"), ("def f(:", "cannot be read as Python (invalid")],
)
def test_a_file_of_the_users_that_is_none_is_named(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{file} {sentence}")):
        sources(file)
