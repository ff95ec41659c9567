"""Images that cannot be decoded in a sound archive: all named at once, left out on demand."""

import hashlib
import json
import re

import pytest

from tcmbench.common.errors import UserError
from tcmbench.images.manifests import read_manifest
from tcmbench.preparation.build import build
from tests.datasets.layouts import LAYOUTS, TRUTH, pack

ARCHIVE = "Stanford_Online_Products.zip"
ROOT = "Stanford_Online_Products/"
BAD = ["bicycle_final/111085122871_0.JPG", "chair_final/400668651171_0.JPG"]
PATHS = [{path for path, _, _ in half} for half in TRUTH["sop"]]
COUNTS = {"train_images": 5, "train_classes": 3, "test_images": 3, "test_classes": 2}


@pytest.fixture
def archives(tmp_path):
    """SOP with two JPEGs that lack their last two bytes."""
    layout = LAYOUTS["sop"]()
    for path in BAD:
        layout[ARCHIVE][ROOT + path] = layout[ARCHIVE][ROOT + path][:-2]
    return pack(tmp_path / "archives", layout)


def prepare(archives, out, tmp_path, *, sha256=None, skip=None):
    expect = tmp_path / "expect.json"
    hashes = {} if sha256 is None else {ARCHIVE: sha256}
    expect.write_text(json.dumps({"counts": COUNTS, "sha256": hashes}))
    if skip is not None:
        (tmp_path / "skip.txt").write_text(skip)
    skipped = None if skip is None else tmp_path / "skip.txt"
    build("sop", archives, out, expect=expect, skip_unreadable=skipped)


def digest(archives):
    return hashlib.sha256((archives / ARCHIVE).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("known", "way_out"),
    [
        (
            "right",
            "another download changes nothing, since its hash is the right one: list them in",
        ),
        ("other", "its hash is not the published one: delete it and download it again, or list"),
        (None, "delete it and download it again, or, if that changes nothing, list them in a text"),
    ],
)
def test_all_are_named_at_once_with_the_way_out(known, way_out, archives, tmp_path):
    sha256 = {"right": digest(archives), "other": "0" * 64, None: None}[known]
    with pytest.raises(UserError) as error:
        prepare(archives, tmp_path / "out", tmp_path, sha256=sha256)
    found = re.fullmatch(
        rf"2 images of {ARCHIVE} cannot be decoded: {BAD[0]} \((.+)\), {BAD[1]} \((.+)\); (.+)",
        str(error.value),
    )
    assert found[3].startswith(way_out)
    assert found[3].endswith("in a text file, one a line, and go on with --skip-unreadable FILE")
    assert not (tmp_path / "out/images").exists()


def test_one_that_is_not_in_the_list_is_still_refused(archives, tmp_path):
    with pytest.raises(UserError, match=rf"^1 image of {ARCHIVE} cannot be decoded: {BAD[1]} "):
        prepare(archives, tmp_path / "out", tmp_path, skip=BAD[0])


@pytest.mark.parametrize("prefix", ["", "images/", ROOT])
def test_those_in_the_list_are_left_out_and_noted(prefix, archives, tmp_path, capsys):
    out = tmp_path / "out"
    # A third one in the list can be decoded, and stays.
    fine = "bicycle_final/111085122871_1.JPG"
    lines = "".join(f"{prefix}{path}\n" for path in [*BAD, fine])
    prepare(archives, out, tmp_path, skip=f"# they end too soon\n\n{lines}")
    for table, paths in zip(("train.csv", "test.csv"), PATHS, strict=True):
        listed = {item.path for item in read_manifest(out / table)}
        assert listed == {f"images/{path}" for path in paths - set(BAD)}
        assert all((out / path).is_file() for path in listed)
    record = json.loads((out / "manifest.json").read_text())
    assert set(record["unreadable"]) == set(BAD)
    assert all(record["unreadable"].values())
    assert record["counts"] == COUNTS | {"train_images": 4, "test_images": 2, "test_classes": 1}
    assert record["expected_counts"] == COUNTS
    sentence = "Stanford Online Products: left out, since they cannot be decoded: " + ", ".join(BAD)
    assert sentence in record["warnings"]
    assert f"warning: {sentence}\n" in capsys.readouterr().err


def test_a_folder_without_them_is_used_again_only_where_they_may_be_absent(
    archives, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    prepare(archives, out, tmp_path, skip="\n".join(BAD))
    with monkeypatch.context() as patched:
        patched.setattr("tcmbench.preparation.build.unpack", None)
        prepare(archives, out, tmp_path, skip="\n".join(BAD))
    with pytest.raises(UserError, match=r"2 images of .* cannot be decoded"):
        prepare(archives, out, tmp_path)
    assert json.loads((out / "manifest.json").read_text())["unreadable"]


def test_published_counts_hold_with_a_list_too(archives, tmp_path):
    (tmp_path / "skip.txt").write_text(BAD[0])
    with pytest.raises(UserError, match="5 train images instead of 59,551"):
        build("sop", archives, tmp_path / "out", skip_unreadable=tmp_path / "skip.txt")


def test_a_list_that_is_wrong_is_named(archives, tmp_path):
    with pytest.raises(UserError, match=r"skip\.txt names 'x\.jpg', which is no image of the data"):
        prepare(archives, tmp_path / "out", tmp_path, skip="x.jpg")
    with pytest.raises(UserError, match=r"absent\.txt cannot be read as a text file"):
        build(
            "sop", archives, tmp_path / "out", count_check=False,
            skip_unreadable=tmp_path / "absent.txt",
        )  # fmt: skip
