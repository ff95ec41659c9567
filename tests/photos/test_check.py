"""The check of pictures where they lie: what it leaves, what it re-reads, and what it refuses."""

import csv
import hashlib
import json
import os
import shutil

import pytest

import photos as door
from tcmbench.common.errors import UserError
from tcmbench.images.manifests import read_manifest
from tcmbench.photos import check as checking
from tcmbench.photos import memory
from tcmbench.photos.check import check
from tcmbench.photos.plan import planned
from tests.photos.albums import write_album, write_picture
from tests.training.tiny_data import exit_code

NAMES = ["Äpfel", "一 二", "mit Leerzeichen", "🍌, banana\u2028"]


@pytest.fixture
def album(tmp_path):
    return write_album(tmp_path / "my photos", NAMES)


def state(folder):
    """What a folder holds, times included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder)] = (path.stat().st_mtime_ns, path.stat().st_mode, content)
    return found


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_manifests_have_hashes_and_the_pictures_stay_as_they_were(album, tmp_path):
    (album / "readme.txt").write_text("x")
    before = state(album)
    out = tmp_path / "out"
    check("mine", {"folder": str(album)}, out)
    assert state(album) == before
    record = json.loads((out / "manifest.json").read_text())
    found = []
    for half in ("train", "test"):
        listed = rows(out / f"{half}.csv")
        for row in listed:
            content = (album / row["path"]).read_bytes()
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
        items = read_manifest(out / f"{half}.csv")
        assert [item.path for item in items] == [row["path"] for row in listed]
        found.append(dict.fromkeys(item.class_name for item in items))
        table = (out / f"{half}.csv").read_bytes()
        assert record["sha256"][f"{half}.csv"] == hashlib.sha256(table).hexdigest()
    assert list(map(list, found)) == [["mit Leerzeichen", "Äpfel"], ["一 二", NAMES[3]]]
    assert record["counts"] == {
        "train_images": 6,
        "train_classes": 2,
        "test_images": 6,
        "test_classes": 2,
    }
    assert record["passed_over"] == ["readme.txt"]
    assert record["split"] == "50 % of the classes are trained on, the first by name"
    # No picture lies anywhere else.
    assert not list(out.rglob("*.png"))


def test_a_half_alone_checks_all_and_the_other_decodes_none_again(album, tmp_path, monkeypatch):
    out, decoded = tmp_path / "out", []
    real = checking.check_image
    monkeypatch.setattr(checking, "check_image", lambda c: decoded.append(c) or real(c))
    entry = {"folder": str(album)}
    check("mine", entry, out, half="test")
    assert len(decoded) == 12
    assert not (out / "train.csv").exists()
    written = (out / "test.csv").stat().st_mtime_ns
    check("mine", entry, out, half="train")
    assert (len(decoded), (out / "test.csv").stat().st_mtime_ns) == (12, written)
    # One that is new, one that is changed, and one that is merely touched.
    write_picture(album / NAMES[0] / "new.png", 50)
    write_picture(album / NAMES[1] / "0.png", 51)
    os.utime(album / NAMES[2] / "0.png", (1, 1))
    check("mine", entry, out)
    assert len(decoded) == 14


def test_all_unreadable_pictures_are_named_in_one_sentence(album, tmp_path):
    bad = [f"{name}/bad {number}.jpg" for name in NAMES for number in range(8)]
    for number, path in enumerate(bad):
        (album / path).write_bytes([b"", b"no picture", b"\xff\xd8\xff\xe0 cut"][number % 3])
    with pytest.raises(UserError) as error:
        check("mine", {"folder": str(album)}, tmp_path / "out")
    told = str(error.value)
    assert told.startswith(f"32 pictures of {album} cannot be decoded: ")
    assert all(path in told for path in bad)
    assert not (tmp_path / "out/manifest.json").exists()
    # Once more: what was not decoded is tried again.
    with pytest.raises(UserError, match="32 pictures"):
        check("mine", {"folder": str(album)}, tmp_path / "out", half="test")


def test_pictures_of_a_list_are_left_out(album, tmp_path):
    bad = f"{NAMES[0]}/bad.png"
    (album / bad).write_bytes(b"x")
    skip, out = tmp_path / "skip.txt", tmp_path / "out"
    skip.write_text(f"{bad}\n{NAMES[1]}/0.png\n", encoding="utf-8")
    check("mine", {"folder": str(album)}, out, skip_unreadable=skip)
    # A picture of the list that can be decoded stays.
    assert len(rows(out / "train.csv") + rows(out / "test.csv")) == 12
    assert set(json.loads((out / "manifest.json").read_text())["unreadable"]) == {bad}


def test_a_class_that_the_list_empties_is_refused(album, tmp_path):
    for number in (0, 1):
        (album / NAMES[0] / f"{number}.png").write_bytes(b"x")
    skip = tmp_path / "skip.txt"
    skip.write_text(f"{NAMES[0]}/0.png\n{NAMES[0]}/1.png\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"1 class \\({NAMES[0]}\\) is too small"):
        check("mine", {"folder": str(album)}, tmp_path / "out", skip_unreadable=skip)


def halves(album, folder):
    plan = planned({"folder": str(album)}, folder)
    return plan.train, plan.test


def test_each_half_has_a_hash_of_its_own(album, tmp_path):
    train, test = halves(album, tmp_path)
    first, last = "mit Leerzeichen", NAMES[3]
    write_picture(album / first / "0.png", 999)
    assert halves(album, tmp_path)[1] == test
    changed, _ = halves(album, tmp_path)
    assert changed != train
    write_picture(album / last / "new/3.png", 7)
    assert halves(album, tmp_path)[0] == changed
    assert halves(album, tmp_path)[1] != test
    (album / last / "new/3.png").unlink()
    assert halves(album, tmp_path) == (changed, test)


def test_the_hashes_are_those_of_the_content(album, tmp_path, monkeypatch):
    """Touched or copied pictures are the same; unchanged ones are not read again."""
    before = halves(album, tmp_path / "a")
    read = []
    real = memory.sha256
    monkeypatch.setattr(memory, "sha256", lambda path: read.append(path) or real(path))
    assert halves(album, tmp_path / "a") == before
    assert read == []
    touched = album / NAMES[0] / "1.png"
    os.utime(touched, (1, 1))
    assert halves(album, tmp_path / "a") == before
    assert read == [touched]
    shutil.copytree(album, tmp_path / "copy")
    assert halves(tmp_path / "copy", tmp_path / "b") == before
    for broken in ("[", "[]", '{"x": 1}', '{"x": []}'):
        (tmp_path / "a/pictures.json").write_text(broken)
        assert halves(album, tmp_path / "a") == before


def test_the_command(album, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--name", "mine", "--folder", album, "--split-seed", "3", "--out", out]
    assert exit_code(door, *arguments, "--half", "test") == 0
    assert "drawn by split_seed 3" in (out / "manifest.json").read_text()
    assert len(read_manifest(out / "test.csv")) == 6
    capsys.readouterr()
    shutil.rmtree(album / NAMES[0])
    assert exit_code(door, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {album} has 3 classes with pictures")
