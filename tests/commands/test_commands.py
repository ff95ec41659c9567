"""`tcmbench NAME`: every command is found, says what is wrong in one line, and starts fast."""

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from tcmbench import __version__, commands
from tests.paths import SRC

PROGRAM = "from tcmbench.commands import main; main()"


def run(*words, check=""):
    """Call it as the installed script does."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + check, *map(str, words)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"},
    )


def called(*words):
    with pytest.raises(SystemExit) as left:
        commands.main([str(word) for word in words])
    return left.value.code


def test_help_names_every_command_and_is_fast():
    check = "\n".join(
        [
            "import sys",
            "try:",
            "    from tcmbench.commands import main; main()",
            "except SystemExit: pass",
            "print('slow', sorted({'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)))",
        ]
    )
    for words in ([], *([name, "--help"] for name in commands.names())):
        done = subprocess.run(
            [sys.executable, "-c", check, *words],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(SRC)},
        )
        assert done.stdout.endswith("slow []\n"), (words, done.stdout, done.stderr)
        assert f"usage: tcmbench {words[0] if words else 'COMMAND'} " in done.stdout
        assert words or all(f"\n  {name} " in done.stdout for name in commands.names())


def test_the_version_and_a_wrong_word(capsys):
    assert called("--version") == 0
    assert capsys.readouterr().out == f"tcmbench {__version__}\n"
    assert called("evalute") == 2
    assert "there is no command 'evalute'; did you mean 'evaluate'?" in capsys.readouterr().err


def test_a_missing_package_is_named(capsys, monkeypatch, tmp_path):
    np.savez(tmp_path / "e.npz", embeddings=np.eye(4), labels=[0, 0, 1, 1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "e.csv").write_text("embedding,label\n[1],a\n")
    words = ("evaluate", "--embeddings", tmp_path / "e.csv", "--out", tmp_path / "m.json")
    assert called(*words) == 2
    assert capsys.readouterr().err == (
        "error: this needs the package pyarrow, which is not installed; pip install pyarrow\n"
    )


def test_evaluate_prints_a_table_and_names_classes(tmp_path):
    random = np.random.default_rng(0)
    labels = np.repeat([f"bird {number}" for number in range(12)], 5)
    rows = random.normal(size=(12, 8)).repeat(5, axis=0) + 0.6 * random.normal(size=(60, 8))
    np.savez(tmp_path / "e.npz", embeddings=rows, labels=labels)
    files = ("--out", tmp_path / "m.json", "--classes", tmp_path / "c.parquet")
    done = run("evaluate", "--embeddings", tmp_path / "e.npz", *files, "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "m.json").read_text())
    shown = dict(line.split("  ", 1) for line in done.stdout.splitlines() if line.strip())
    assert shown["R@1"].strip() == f"{100 * found['recall_at_1']:.2f} %"
    assert shown["OPIS"].strip() == f"{1e3 * found['opis']:.4g} x 10^-3"
    assert shown["images"].strip() == "60 of 12 classes"
    assert len(done.stdout.splitlines()) <= 10
    names = pq.read_table(tmp_path / "c.parquet")["class_name"].to_pylist()
    assert names == sorted(set(labels))
