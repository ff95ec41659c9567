import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcmbench.common.errors import UserError
from tcmbench.images.manifests import Item, read_manifest, write_manifest
from tcmbench.preparation.build import build
from tcmbench.preparation.ownership import MARK
from tests.datasets.layouts import LAYOUTS, TRUTH, pack, text
from tests.paths import SRC

NAMES = sorted(LAYOUTS)
DOOR = SRC / "prepare.py"


@pytest.fixture
def archives(tmp_path):
    return pack(tmp_path / "archives", LAYOUTS["cub"]())


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data" / "cub"


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARK
    }


def touch(path):
    """Make a file look changed, as a new download of the same size does."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def expectation(tmp_path, name, **changed):
    train, test = TRUTH[name]
    counts = {
        "train_images": len(train),
        "train_classes": len({label for _, label, _ in train}),
        "test_images": len(test),
        "test_classes": len({label for _, label, _ in test}),
    }
    path = tmp_path / "expect.json"
    path.write_text(json.dumps({"counts": counts | changed}))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_prepare_makes_the_manifests_worked_out_by_hand(name, tmp_path, out):
    folder = pack(tmp_path / "archives", LAYOUTS[name]())
    build(name, folder, out, expect=expectation(tmp_path, name))
    for table, truth in zip(("train.csv", "test.csv"), TRUTH[name], strict=True):
        content = (out / table).read_bytes()
        assert b"\r" not in content
        rows = list(csv.reader(content.decode().splitlines()))
        assert rows[0] == ["path", "label", "class_name"]
        found = [(path, int(label), class_name) for path, label, class_name in rows[1:]]
        assert found == sorted(
            ((f"images/{path}", label, class_name) for path, label, class_name in truth),
            key=lambda row: (row[1], row[0]),
        )
        assert all((out / path).is_file() for path, _, _ in found)
        assert [(i.path, i.label, i.class_name) for i in read_manifest(out / table)] == found
    assert sorted(path.name for path in out.iterdir() if path.name != ".images.lock") == [
        "images", "images.json", "manifest.json", "test.csv", "train.csv",
    ]  # fmt: skip


def test_the_record_names_what_was_read(archives, out, tmp_path):
    expect = expectation(tmp_path, "cub")
    build("cub", archives, out, expect=expect)
    record = json.loads((out / "manifest.json").read_text())
    assert record["counts"] == record["expected_counts"] == json.loads(expect.read_text())["counts"]
    assert record["warnings"] == []
    assert record["dataset"]["title"] == "CUB-200-2011"
    assert record["dataset"]["licence"]
    archive = (archives / "CUB_200_2011.tgz").read_bytes()
    assert record["archives"] == {
        "CUB_200_2011.tgz": {
            "bytes": len(archive),
            "sha256": hashlib.sha256(archive).hexdigest(),
        }
    }
    for table in ("train.csv", "test.csv"):
        assert record["sha256"][table] == hashlib.sha256((out / table).read_bytes()).hexdigest()
    assert record["provenance"]["python"]


def renamed(name, change):
    stem, _, suffix = name.rpartition(".")
    return {
        "chrome": f"{stem} (1).{suffix}",
        "firefox": f"{stem}(2).{suffix}",
        "behind": f"{name} (3)",
        "case": name.swapcase(),
    }[change]


@pytest.mark.parametrize("change", ["chrome", "firefox", "behind", "case"])
@pytest.mark.parametrize("name", NAMES)
def test_archives_are_found_in_spite_of_what_a_browser_made_of_their_names(
    name, change, tmp_path, out
):
    layout = {renamed(archive, change): m for archive, m in LAYOUTS[name]().items()}
    for archive in layout:
        packed = pack(
            tmp_path / "x",
            {
                ("a.zip" if "zip" in archive.lower() else "a.tgz")
                if isinstance(layout[archive], dict)
                else "a": layout[archive]
            },
        )
        (made,) = packed.iterdir()
        (tmp_path / "archives").mkdir(exist_ok=True)
        made.rename(tmp_path / "archives" / archive)
    build(name, tmp_path / "archives", out, expect=expectation(tmp_path, name))
    assert len(read_manifest(out / "train.csv")) == len(TRUTH[name][0])
    record = json.loads((out / "manifest.json").read_text())
    assert set(record["archives"]) == set(LAYOUTS[name]())


def test_two_files_of_such_names_are_refused(archives, out):
    archive = archives / "CUB_200_2011.tgz"
    archive.rename(archives / "cub_200_2011.tgz")
    (archives / "CUB_200_2011 (1).tgz").write_bytes(b"")
    message = r"has no 'CUB_200_2011\.tgz', but 'CUB_200_2011 \(1\)\.tgz' and 'cub_200_2011\.tgz'"
    with pytest.raises(UserError, match=message):
        build("cub", archives, out)


def test_the_same_archives_give_the_same_bytes(archives, out, tmp_path):
    for folder in (out, tmp_path / "again"):
        build("cub", archives, folder, expect=expectation(tmp_path, "cub"))
    first, second = snapshot(out), snapshot(tmp_path / "again")
    del first["manifest.json"], second["manifest.json"]
    assert first == second


# Counts


def test_other_counts_than_the_published_are_refused(archives, out):
    with pytest.raises(UserError) as error:
        build("cub", archives, out)
    assert str(error.value) == (
        "CUB-200-2011: the archives hold 5 train images instead of 5,864, 3 train classes instead "
        "of 100, 5 test images instead of 5,924, 3 test classes instead of 100; download them "
        "again, or accept a subset on purpose with --no-count-check"
    )
    assert not out.exists()


@pytest.mark.parametrize("number", ["train_images", "train_classes", "test_images", "test_classes"])
def test_every_expected_count_is_compared(number, archives, out, tmp_path):
    expect = expectation(tmp_path, "cub", **{number: 99})
    with pytest.raises(UserError, match=f"hold . {number.replace('_', ' ')} instead of 99; "):
        build("cub", archives, out, expect=expect)


def test_no_count_check_warns_and_keeps_the_warning(archives, out, capsys):
    build("cub", archives, out, count_check=False)
    warnings = json.loads((out / "manifest.json").read_text())["warnings"]
    assert len(warnings) == 2
    assert warnings[1] == "CUB_200_2011.tgz is not the published file (another hash)"
    assert "5 train images instead of 5,864" in warnings[0]
    assert f"warning: {warnings[0]}" in capsys.readouterr().err


def test_no_count_check_has_nothing_to_say_where_the_counts_fit(archives, out, tmp_path, capsys):
    build("cub", archives, out, count_check=False, expect=expectation(tmp_path, "cub"))
    assert json.loads((out / "manifest.json").read_text())["warnings"] == []
    assert capsys.readouterr().err == ""


def test_a_class_in_both_lists_is_refused_whatever_the_counts(tmp_path, out):
    layout = LAYOUTS["sop"]()
    members = layout["Stanford_Online_Products.zip"]
    test_list = "Stanford_Online_Products/Ebay_test.txt"
    members[test_list] = members[test_list].replace(b"8 12 3", b"8 2 3")
    with pytest.raises(UserError, match="class 2 is in both the training and the test images"):
        build("sop", pack(tmp_path / "archives", layout), out, count_check=False)


# Failure and repetition


def spoil(archives, what):
    layout = LAYOUTS["cub"]()
    members = layout["CUB_200_2011.tgz"]
    first = next(member for member in members if member.endswith(".jpg"))
    if what == "a corrupt image":
        members[first] = members[first][:-100]
    elif what == "an absent image":
        del members[first]
    elif what == "a class less":
        members["CUB_200_2011/classes.txt"] = text("1 001.Black_footed_Albatross")
    pack(archives, layout)
    if what == "a truncated archive":
        archive = archives / "CUB_200_2011.tgz"
        archive.write_bytes(archive.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("a corrupt image", r"1 image of .*2011\.tgz cannot be decoded: 001\..*_18\.jpg \("),
        ("an absent image", r"images\.txt names 1 images that are not in"),
        ("a class less", "do not fit together"),
        ("a truncated archive", "is truncated or damaged"),
    ],
)
def test_a_failure_leaves_nothing_and_touches_nothing(what, message, archives, out, tmp_path):
    expect = expectation(tmp_path, "cub")
    spoil(archives, what)
    with pytest.raises(UserError, match=message):
        build("cub", archives, out, expect=expect)
    assert not out.exists() or {path.name for path in out.iterdir()} == {".images.lock"}
    pack(archives, LAYOUTS["cub"]())
    build("cub", archives, out, expect=expect)
    before = snapshot(out)
    spoil(archives, what)
    with pytest.raises(UserError, match=message):
        build("cub", archives, out, expect=expect)
    assert snapshot(out) == before
    assert not (out / ".partial_images").exists()


def test_an_empty_folder_made_beforehand_is_filled_or_left_empty(archives, out, tmp_path):
    out.mkdir(parents=True)
    with pytest.raises(UserError):
        build("cub", archives, out)
    assert list(out.iterdir()) == []
    build("cub", archives, out, expect=expectation(tmp_path, "cub"))
    assert (out / "manifest.json").is_file()


def test_repeating_replaces_the_results_and_leaves_other_files_alone(out, tmp_path):
    archives = pack(out / "archives", LAYOUTS["cub"]())
    (out / "notes.txt").write_text("mine")
    (out / ".partial_images" / "images").mkdir(parents=True)
    (out / ".partial_images" / "images" / "left by another run.jpg").write_bytes(b"")
    for _ in range(2):
        build("cub", archives, out, expect=expectation(tmp_path, "cub"))
    assert (out / "notes.txt").read_text() == "mine"
    assert (archives / "CUB_200_2011.tgz").is_file()
    assert not (out / ".partial_images").exists()
    images = {path for path in snapshot(out) if path.startswith("images/")}
    assert images == {f"images/{path}" for half in TRUTH["cub"] for path, _, _ in half}
    # A smaller archive leaves none of the images of the larger one.
    layout = LAYOUTS["cub"]()
    members = layout["CUB_200_2011.tgz"]
    for table in ("images", "image_class_labels"):
        lines = members[f"CUB_200_2011/{table}.txt"].splitlines(keepends=True)
        members[f"CUB_200_2011/{table}.txt"] = b"".join(lines[:-1])
    build("cub", pack(archives, layout), out, count_check=False)
    images = {path for path in snapshot(out) if path.startswith("images/")}
    assert len(images) == 9
    assert images == {
        item.path for t in ("train.csv", "test.csv") for item in read_manifest(out / t)
    }


def test_while_results_are_swapped_in_the_records_are_absent(archives, out, tmp_path, monkeypatch):
    expect = expectation(tmp_path, "cub")
    build("cub", archives, out, expect=expect)
    before = snapshot(out / "images")
    touch(archives / "CUB_200_2011.tgz")

    def cut_off(path, target):
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_off)
        with pytest.raises(OSError, match="power cut"):
            build("cub", archives, out, expect=expect)
    assert not (out / "manifest.json").exists()
    assert not (out / "images.json").exists()
    build("cub", archives, out, expect=expect)
    assert snapshot(out / "images") == before
    assert (out / "manifest.json").exists()


def test_grey_and_cmyk_images_pass(archives, out, tmp_path):
    from PIL import Image

    build("cub", archives, out, expect=expectation(tmp_path, "cub"))
    modes = set()
    for path in (out / "images").rglob("*.jpg"):
        with Image.open(path) as image:
            modes.add(image.mode)
    assert modes == {"L", "RGB", "CMYK"}


# Manifests


def test_manifest_round_trip_with_awkward_names(tmp_path):
    items = [
        Item("images/b, c.jpg", 10, 'a "quoted" name'),
        Item("images/z.jpg", 9, "Ötzi, of the Alps"),
        Item("images/a.jpg", 11, ""),
    ]
    write_manifest(tmp_path / "m.csv", items)
    assert read_manifest(tmp_path / "m.csv") == [items[1], items[0], items[2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks the column 'path'"),
        (b"path,class_name\na,b\n", "lacks the column 'label'; a manifest has path, label, class"),
        (b"path,label,class_name\n", "lists no image"),
        (b"path,label,class_name\na,1,b\na,1.5,b\n", r"line 3: the label '1\.5' is not a whole"),
        (b"path,label,class_name\na\n", "line 2: the label 'None' is not a whole"),
        (b"path,label,class_name\na,1\n", "line 2 is incomplete"),
        (b"path,label,class_name\n,1,b\n", "line 2 is incomplete"),
        (b"path,label,class_name\n\xff,1,b\n", "is not a CSV table"),
        (b"path;label;class_name\na;1;b\n", "lacks the column 'path'.*, parted by commas"),
        (
            b"path,label,class_name\na,1,b\nc,1,d\n",
            "line 3 gives the label 1 the class name 'd', which has been 'b' before; give each",
        ),
    ],
)
def test_a_manifest_of_another_shape_is_refused(content, message, tmp_path):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_manifest(tmp_path / "m.csv")


def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path):
    content = b"\xef\xbb\xbfpath,label,class_name\r\na.jpg,1,\xc3\x96tzi\r\n"
    (tmp_path / "m.csv").write_bytes(content)
    assert read_manifest(tmp_path / "m.csv") == [Item("a.jpg", 1, "Ötzi")]


def test_an_absent_manifest_is_named(tmp_path):
    with pytest.raises(UserError, match=r"m\.csv does not exist; make it with src/prepare\.py"):
        read_manifest(tmp_path / "m.csv")


# The command


def run(*arguments):
    return subprocess.run(
        [sys.executable, DOOR, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_command_accepts_a_subset_on_purpose(tmp_path, out):
    folder = pack(tmp_path / "archives", LAYOUTS["cars196"]())
    arguments = ("--dataset", "cars196", "--archives", folder, "--out", out)
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Cars196: the archives hold 4 train images instead of")
    assert done.stderr.count("\n") == 1
    done = run(*arguments, "--no-count-check")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: Cars196: the archives hold 4 train images instead of")
    assert len(read_manifest(out / "test.csv")) == 4
    done = run(*arguments, "--expect", expectation(tmp_path, "cars196"))
    assert (done.returncode, done.stderr) == (0, "")


def test_command_names_a_missing_archive_and_the_way_to_get_it(archives, out):
    (archives / "CUB_200_2011.tgz").unlink()
    done = run("--dataset", "cub", "--archives", archives, "--out", out)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {archives / 'CUB_200_2011.tgz'} does not exist; fetch it with: python "
        f"src/download.py --dataset cub --file CUB_200_2011.tgz --out {archives}\n"
    )
    assert not out.exists()
