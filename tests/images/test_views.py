"""The stored evaluation view: its pixels, what it refuses, and what a kill leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest

import view as door
from tcmbench.common.errors import UserError
from tcmbench.common.files import sha256
from tcmbench.images import views
from tcmbench.images.loading import EvaluationView, ViewSpec
from tcmbench.images.manifests import read_manifest, write_manifest
from tcmbench.images.views import spans, stored_batches, write_view
from tests.paths import SRC
from tests.training.tiny_data import exit_code

DOOR = SRC / "view.py"
SPEC = ViewSpec(36, 32, (0.5, 1.0), 0.5)


@pytest.fixture
def manifest(tiny_set, tmp_path):
    path = tmp_path / "test.csv"
    write_manifest(path, read_manifest(tiny_set / "train.csv")[::2])
    return path


@pytest.fixture
def stored(tiny_set, manifest, tmp_path):
    out = tmp_path / "views/36_32.npy"
    write_view(manifest, tiny_set, 36, 32, out)
    return out


def batches(stored, manifest, spec=SPEC, size=5):
    return list(stored_batches(stored, manifest, len(read_manifest(manifest)), spec, size))


def test_pixels_are_those_of_the_files(tiny_set, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(views, "BATCH", 5)  # a last batch that is not full
    out = tmp_path / "views/36_32.npy"
    options = ["--manifest", manifest, "--images", tiny_set, "--resize", 36, "--crop", 32]
    assert exit_code(door, *options, "--out", out) == 0
    items = read_manifest(manifest)
    expected = EvaluationView([tiny_set / item.path for item in items], SPEC)
    found = np.load(out)
    assert found.dtype == np.uint8
    assert found.shape == (len(items), 3, 32, 32)
    for row, pixels in enumerate(found):
        assert np.array_equal(pixels, expected[row].numpy())
    read = batches(out, manifest)
    assert [len(batch) for batch in read] == [5] * (len(items) // 5) + [len(items) % 5]
    assert np.array_equal(np.concatenate(read), found)


def test_the_record_says_what_the_file_is_of(stored, manifest):
    record = json.loads(stored.with_suffix(".json").read_text())
    assert record["manifest_sha256"] == sha256(manifest)
    assert (record["images"], record["resize"], record["crop"]) == (28, 36, 32)
    assert record["packages"]["pillow"]
    assert sorted(path.name for path in stored.parent.iterdir()) == ["36_32.json", "36_32.npy"]


def test_spans():
    assert spans(5, 2) == [[0, 1], [2, 3], [4]]
    assert spans(4, 2) == [[0, 1], [2, 3]]
    assert spans(1, 8) == [[0]]


def other_manifest(stored, manifest):
    write_manifest(manifest, reversed(read_manifest(manifest)[1:]))
    return "(differing: manifest_sha256, images)"


def no_record(stored, manifest):
    stored.with_suffix(".json").unlink()
    return f"{stored.with_suffix('.json')} does not exist"


def no_file(stored, manifest):
    stored.unlink()
    return f"{stored} does not exist; make it with src/view.py"


def cut_file(stored, manifest):
    stored.write_bytes(stored.read_bytes()[:-1])
    return f"{stored} is damaged ("


def no_array(stored, manifest):
    stored.write_bytes(b"damaged")
    return f"{stored} is damaged ("


def other_array(stored, manifest):
    np.save(stored, np.zeros((28, 3, 31, 32), np.uint8))
    return "(differing: array)"


def other_type(stored, manifest):
    np.save(stored, np.zeros((28, 3, 32, 32), np.int8))
    return "(differing: array)"


HARMS = [other_manifest, no_record, no_file, cut_file, no_array, other_array, other_type]


@pytest.mark.parametrize("harm", HARMS)
def test_another_or_a_damaged_view_is_refused(stored, manifest, harm):
    sentence = harm(stored, manifest)
    with pytest.raises(UserError) as error:
        batches(stored, manifest)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("spec", "differing"),
    [(ViewSpec(40, 32, (0.5, 1.0), 0.5), "resize"), (ViewSpec(36, 30, (0.5, 1.0), 0.5), "crop")],
)
def test_a_view_of_other_sizes_is_refused(stored, manifest, spec, differing):
    with pytest.raises(UserError) as error:
        batches(stored, manifest, spec)
    assert str(error.value) == (
        f"{stored} does not hold the evaluation view of {manifest}, {spec.resize} to {spec.crop} "
        f"pixels (differing: {differing}); make it again with src/view.py"
    )


def test_too_small_a_disk_is_said_before_anything_is_written(
    tiny_set, manifest, tmp_path, monkeypatch
):
    usage = namedtuple("usage", "free")
    asked = []
    # 28 images of 3 x 32 x 32 bytes.
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: asked.append(path) or usage(28 * 3072 - 1)
    )
    out = tmp_path / "new/folder/view.npy"
    with pytest.raises(UserError) as error:
        write_view(manifest, tiny_set, 36, 32, out)
    assert str(error.value).startswith(f"the evaluation view takes 0.0 GB in {out.parent} and")
    assert asked == [tmp_path]
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(28 * 3072))
    write_view(manifest, tiny_set, 36, 32, out)
    assert out.exists()


def test_an_unreadable_image_leaves_nothing_that_could_be_used(
    tiny_set, manifest, stored, tmp_path, capsys
):
    shutil.copytree(tiny_set, tmp_path / "images")
    broken = tmp_path / "images" / read_manifest(manifest)[3].path
    broken.write_bytes(b"no image")
    options = ["--manifest", manifest, "--images", tmp_path / "images"]
    assert exit_code(door, *options, "--resize", 36, "--crop", 32, "--out", stored) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: image {broken} cannot be read (")
    # The earlier file is still whole, but nothing says any more what it is of.
    assert list(stored.parent.iterdir()) == [stored]
    with pytest.raises(UserError, match="json does not exist"):
        batches(stored, manifest)


def test_killed_while_writing(tiny_set, manifest, tmp_path):
    """A real process, killed half-way: nothing by the final name, and the next call tidies up."""
    # An image that never ends to be read: the writer waits in it.
    items = read_manifest(manifest)
    folder = tmp_path / "images"
    shutil.copytree(tiny_set, folder)
    waiting = folder / items[-1].path
    content = waiting.read_bytes()
    waiting.unlink()
    os.mkfifo(waiting)
    out = tmp_path / "views/36_32.npy"
    options = ["--manifest", manifest, "--images", folder, "--resize", "36", "--crop", "32"]
    process = subprocess.Popen([sys.executable, DOOR, *options, "--out", out])
    deadline = time.monotonic() + 60
    while not list(out.parent.glob(".36_32.*.npy")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = out.parent.iterdir()
    assert left.name.startswith(".36_32.")
    waiting.unlink()
    waiting.write_bytes(content)
    write_view(manifest, folder, 36, 32, out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["36_32.json", "36_32.npy"]
    assert len(np.concatenate(batches(out, manifest))) == len(items)
