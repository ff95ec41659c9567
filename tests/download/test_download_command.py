"""src/download.py: its options, what it prints, and the file of expected hashes."""

import hashlib
import json
import subprocess
import sys

import pytest

from tcmbench.common.errors import UserError
from tcmbench.datasets import load
from tcmbench.download.terms import show_terms, terms
from tests.datasets.layouts import LAYOUTS, pack
from tests.download.faulty_server import CONTENT, Reply, Server, serving
from tests.paths import SRC

DOOR = SRC / "download.py"


# The expectation file


def test_an_expectation_replaces_hashes_and_counts(tmp_path):
    path = tmp_path / "expect.json"
    counts = {"train_images": 1, "train_classes": 2, "test_images": 3, "test_classes": 4}
    path.write_text(json.dumps({"sha256": {"car_ims.tgz": "ab"}, "counts": counts}))
    cars = load("cars196").expecting(path)
    assert [(a.name, a.sha256, a.md5, a.size) for a in cars.layout().archives] == [
        ("car_ims.tgz", "ab", None, None),
        ("cars_annos.mat", None, None, None),
    ]
    assert vars(cars.counts) == counts
    path.write_text("{}")
    assert load("cars196").expecting(path).counts == load("cars196").counts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with the keys counts, sha256"),
        ({"sha265": {}}, "unknown key 'sha265'; did you mean 'sha256'"),
        ({"sha256": {"car_im.tgz": ""}}, "unknown key 'car_im.tgz'; did you mean 'car_ims.tgz'"),
        ({"counts": {"train_images": 1}}, "counts needs the whole numbers test_classes, "),
        (
            {"counts": dict.fromkeys(("train_images", "train_classes", "test_images"), 1)
             | {"test_classes": "4"}},
            "counts needs the whole numbers",
        ),
    ],
)  # fmt: skip
def test_an_expectation_of_another_shape_is_refused(content, message, tmp_path):
    path = tmp_path / "expect.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        load("cars196").expecting(path)


# The command


def run(*arguments):
    return subprocess.run(
        [sys.executable, DOOR, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_command_fetches_every_archive_of_an_expectation(tmp_path):
    origin = pack(tmp_path / "origin", LAYOUTS["inat2018"]())
    hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in origin.iterdir()}
    expect = tmp_path / "expect.json"
    expect.write_text(json.dumps({"sha256": hashes}))
    out = tmp_path / "out"
    for name in hashes:
        address = (origin / name).as_uri()
        done = run("--dataset", "inat2018", "--out", out, "--file", name, "--url", address,
                   "--expect", expect)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    for path in origin.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert {p.name for p in out.iterdir() if p.name[0] != "."} == {
        *hashes,
        *(f"{name}.verified.json" for name in hashes),
    }
    # All are there by now, so the call for all of them only checks and needs no network.
    done = run("--dataset", "inat2018", "--out", out, "--expect", expect)
    assert (done.returncode, done.stderr) == (0, "")


def test_command_refuses_bad_input_with_one_line(tmp_path):
    archive = pack(tmp_path, LAYOUTS["cub"]()) / "CUB_200_2011.tgz"
    out = tmp_path / "out"
    cases = {
        "there is no dataset 'cubs'; did you mean 'cub'?": ["--dataset", "cubs"],
        "CUB-200-2011 has no archive 'CUB.tgz'; did you mean": [
            "--dataset", "cub", "--file", "CUB.tgz",
        ],
        "expected sha256 0c685df5597a8b24": ["--dataset", "cub", "--url", archive.as_uri()],
        "--url gives one file; say which with --file (one of car_ims.tgz, cars_annos.mat)": [
            "--dataset", "cars196", "--url", archive.as_uri(),
        ],
    }  # fmt: skip
    for message, arguments in cases.items():
        done = run("--out", out, *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.removeprefix(terms(load("cub"))).startswith("error: ")
        assert done.stderr.removeprefix(terms(load("cub"))).count("\n") == 1
        assert {p.name for p in out.glob("[!.]*")} <= {"TERMS.txt"}


def test_terms_are_shown_once_a_folder_and_not_for_files_of_ones_own(tmp_path, capsys):
    cub, cars = load("cub"), load("cars196")
    for _ in range(2):
        show_terms(cub, tmp_path / "a")
    show_terms(cub, tmp_path / "b")
    assert capsys.readouterr().err == terms(cub) * 2
    show_terms(cars, tmp_path / "a")
    show_terms(cars, tmp_path / "a")
    assert capsys.readouterr().err == terms(cars)
    assert (tmp_path / "a" / "TERMS.txt").read_text() == terms(cub) + terms(cars)
    assert cub.licence in terms(cub)
    assert f"terms: {cub.licence_url}\n" in terms(cub)


def test_command_shows_terms_and_keeps_the_hash_of_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    name = "inat_dataset_splits.zip"
    options = ["--dataset", "inat2018", "--file", name, "--trusted", tmp_path / "kept.json"]
    options += ["--receipts", tmp_path / "receipts"]
    with serving(Server()) as server:
        url = server.gives(Reply())
        first = run(*options, "--out", tmp_path / "a", "--url", url)
        assert first.returncode == 0
        assert first.stderr.startswith(terms(load("inat2018")) + "warning: no hash is known for")
        kept = json.loads((tmp_path / "kept.json").read_text())
        assert list(kept) == [f"inat2018/{name}"]
        again = run(*options, "--out", tmp_path / "a", "--url", url)
        assert (again.returncode, again.stderr) == (0, "")
        server.gives(Reply(CONTENT[:2] + CONTENT[:1:-1]))
        other = run(*options, "--out", tmp_path / "b", "--url", url)
        assert other.returncode == 2
        assert "if a change of the file is genuine" in other.stderr
    assert sorted(p.name for p in (tmp_path / "a").iterdir() if p.name[0] != ".") == [
        "TERMS.txt",
        name,
    ]
    assert not (tmp_path / "b" / name).exists()


def test_command_fetches_the_files_of_the_layout_that_is_asked_for(tmp_path):
    done = run("--dataset", "cub", "--layout", "nosuch", "--out", tmp_path)
    assert done.returncode == 2
    assert "has no layout 'nosuch'" in done.stderr


def test_help_stands_on_its_own_and_loads_nothing_heavy():
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('requests', 'filelock', 'numpy', 'torch') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, DOOR],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(DOOR.parent)},
    ).stdout
    assert shown.splitlines()[-1] == "[]"
    for word in (".part", "https_proxy", "by hand", "trusted_hashes.json", "examples:"):
        assert word in shown
