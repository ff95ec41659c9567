"""The real command, killed, starved and doubled; and images that are shared, kept or shrunk."""

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from tcmbench.common.errors import UserError
from tcmbench.common.locks import exclusive
from tcmbench.images.manifests import read_manifest
from tcmbench.preparation import space, store, unpack
from tcmbench.preparation.build import build
from tests.datasets.layouts import LAYOUTS, pack, text
from tests.disks import mounted, remount
from tests.paths import SRC

DOOR = SRC / "prepare.py"
ARCHIVE = "CUB_200_2011.tgz"
COUNT = 240


def picture(seed, width=320, height=300):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """CUB in small: `COUNT` images of 100 kB in four classes."""
    paths = [f"{i % 4 + 1:03}.Bird/bird_{i:04}.jpg" for i in range(COUNT)]
    contents = [picture(seed) for seed in range(8)]
    root = "CUB_200_2011/"
    members = {
        f"{root}images.txt": text(*(f"{i + 1} {path}" for i, path in enumerate(paths))),
        f"{root}image_class_labels.txt": text(*(f"{i + 1} {i % 4 + 1}" for i in range(COUNT))),
        f"{root}classes.txt": text(*(f"{c} {c:03}.Bird" for c in range(1, 5))),
    }
    members |= {f"{root}images/{path}": contents[i % 8] for i, path in enumerate(paths)}
    return pack(tmp_path_factory.mktemp("archives"), {ARCHIVE: members})


def own(archives, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(archives, tmp_path / "own"))


def command(archives, out, *options):
    return [
        *(sys.executable, str(DOOR), "--dataset", "cub", "--archives", str(archives)),
        *("--out", str(out), "--no-count-check", *map(str, options)),
    ]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


# They tell the time and the process, or list the rest; the last is left by a kill under the lock.
NOTES = (".images.lock", "manifest.json", "images.json", store.MARK, ".images.holder.json")


def content(folder):
    """Hashes of all files but the records."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in NOTES
    }


def finished(folder):
    """The same without what a kill left that the next call removes."""
    return {name: found for name, found in content(folder).items() if ".part." not in name}


@pytest.fixture(scope="module")
def undisturbed(archives, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    assert run(archives, out).returncode == 0
    found = content(out)
    assert len(found) == COUNT + 2
    return found, time.monotonic() - start


# Kills and signals


def test_ten_kills_at_random_moments_leave_no_hole(archives, undisturbed, tmp_path):
    expected, seconds = undisturbed
    out, chance, partial = tmp_path / "out", random.Random(5), 0
    for _ in range(10):
        process = subprocess.Popen(command(archives, out, "--threads", 1), stderr=subprocess.PIPE)
        try:
            process.wait(chance.uniform(0.2, 1) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        partial += (out / ".partial_images").exists()
        if (out / "manifest.json").exists():
            assert finished(out) == expected
            shutil.rmtree(out)
    assert partial
    done = run(archives, out)
    assert done.returncode == 0, done.stderr
    assert content(out) == expected


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_line_and_the_next_call_goes_on(
    kind, archives, undisturbed, tmp_path
):
    out = tmp_path / "out"
    process = subprocess.Popen(command(archives, out, "--threads", 1), stderr=subprocess.PIPE)
    while not list((out / ".partial_images").rglob("*.jpg")):
        assert process.poll() is None
    process.send_signal(kind)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.decode().endswith("interrupted; the next call continues or starts over cleanly\n")
    assert not (out / "images").exists()
    kept = {p: p.stat().st_mtime_ns for p in (out / ".partial_images").rglob("[!.]*.jpg")}
    assert kept
    assert run(archives, out).returncode == 0
    assert content(out) == undisturbed[0]
    # What was there was kept, not written anew.
    moved = {out / p.relative_to(out / ".partial_images"): t for p, t in kept.items()}
    assert all(p.stat().st_mtime_ns == t for p, t in moved.items())


# What an interrupted run left


def interrupted(archives, out, monkeypatch, after=20):
    place, calls = unpack._place, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) > after:
            raise OSError("power cut")
        place(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(unpack, "_place", stop)
        with pytest.raises(OSError, match="power cut"):
            build("cub", archives, out, count_check=False, threads=1)
    left = sorted((out / ".partial_images").rglob("*.jpg"))
    assert len(left) == after
    return left


def test_half_and_empty_files_that_were_left_are_written_anew(
    archives, undisturbed, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    left = interrupted(archives, out, monkeypatch)
    left[0].write_bytes(b"")
    left[1].write_bytes(left[1].read_bytes()[:-1])
    left[2].with_name(f".{left[2].name}.part").write_bytes(b"half")
    left[2].unlink()
    build("cub", archives, out, count_check=False)
    assert content(out) == undisturbed[0]


def test_what_was_left_of_another_archive_is_dropped(archives, tmp_path, monkeypatch):
    out, changed = tmp_path / "out", own(archives, tmp_path)
    (left, *_) = interrupted(changed, out, monkeypatch)
    # Of the right size, so that it would pass for what the archive holds.
    left.write_bytes(bytes(left.stat().st_size))
    status = (changed / ARCHIVE).stat()
    os.utime(changed / ARCHIVE, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    build("cub", changed, out, count_check=False)
    assert all(p.read_bytes()[:2] == b"\xff\xd8" for p in (out / "images").rglob("*.jpg"))


def test_an_image_that_vanishes_meanwhile_is_a_hole_that_is_found(archives, tmp_path, monkeypatch):
    place = unpack._place

    def losing(member, load, target, cache):
        place(member, load, target, cache)
        if target.name.endswith("0007.jpg"):
            target.unlink()

    monkeypatch.setattr(unpack, "_place", losing)
    with pytest.raises(UserError, match=r"1 images vanished .* '004\.Bird/bird_0007\.jpg'"):
        build("cub", archives, tmp_path / "out", count_check=False)
    assert not (tmp_path / "out" / "images").exists()


# Disks


def test_a_full_disk_is_one_line_and_room_lets_it_go_on(archives, undisturbed, tmp_path):
    with mounted(tmp_path / "disk", "size=8m") as disk:
        refused = run(archives, disk)
        assert refused.returncode == 2
        assert "GB in" in refused.stderr
        assert "--no-disk-check" in refused.stderr.splitlines()[-1]
        assert not (disk / ".partial_images").exists()
        full = run(archives, disk, "--no-disk-check")
        assert full.returncode == 2
        assert full.stderr.splitlines()[-1].startswith("error: ")
        assert "No space left" in full.stderr
        assert not (disk / "images").exists()
        remount(disk, "size=64m")
        assert run(archives, disk).returncode == 0
        assert content(disk) == undisturbed[0]


def test_a_read_only_folder_is_one_line(archives, tmp_path):
    with mounted(tmp_path / "disk", "ro") as disk:
        done = run(archives, disk)
        assert done.returncode == 2
        assert "Read-only file system" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")


def test_the_need_is_said_from_a_gigabyte_on_and_refused_where_it_is_not_free(
    tmp_path, monkeypatch, capsys
):
    usage = shutil._ntuple_diskusage(10**12, 0, 250 * 10**9)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: usage)
    space.check_space(tmp_path, 120_300_000_000, refuse=True)
    assert capsys.readouterr().err == (
        f"needs about 120.3 GB in {tmp_path} besides the archives, 250.0 GB are free\n"
    )
    space.check_space(tmp_path, 999_999_999, refuse=True)
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"needs about 250\.0 GB .*, but 250\.0 GB are free; make"):
        space.check_space(tmp_path, 250 * 10**9 + 1, refuse=True)
    space.check_space(tmp_path, 250 * 10**9 + 1, refuse=False)


# Sharing


def test_two_at_once_unpack_once(archives, undisturbed, tmp_path):
    out = tmp_path / "out"
    tables = [tmp_path / "first", tmp_path / "second"]
    # Both are made to wait, so that they meet at the lock.
    with exclusive(out / "images", "holds them back"):
        both = [
            subprocess.Popen(command(archives, out, "--manifests", folder), stderr=subprocess.PIPE)
            for folder in tables
        ]
        lines = [line for process in both for line in said_until(process, b"waiting for")]
    assert all(f"process {os.getpid()} on ".encode() in line for line in lines)
    # The first to come in makes the images anew, the other would too, had it not looked again.
    stamps = {}
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        found = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.jpg")}
        assert stamps in ({}, found)
        stamps = found
    assert content(out) == {
        name: value for name, value in undisturbed[0].items() if name.startswith("images")
    }
    files = {"train.csv", "test.csv", "manifest.json"}
    for folder in tables:
        assert {path.name for path in folder.iterdir()} == files
        made = content(folder)
        assert made == {name: undisturbed[0][name] for name in made}


def said_until(process, word):
    """Return the line with that word, having read those before it."""
    return [next(line for line in process.stderr if word in line)]


def test_images_that_are_there_are_not_unpacked_again(archives, tmp_path, monkeypatch):
    out = tmp_path / "out"
    build("cub", archives, out, count_check=False)
    first = json.loads((out / "manifest.json").read_text())
    with monkeypatch.context() as patched:
        patched.setattr("tcmbench.preparation.build.unpack", None)
        build("cub", archives, out, manifests=tmp_path / "tables", count_check=False)
    second = json.loads((tmp_path / "tables" / "manifest.json").read_text())
    assert first["archives"] == second["archives"]
    assert (
        first["archives"][ARCHIVE]["sha256"]
        == hashlib.sha256((archives / ARCHIVE).read_bytes()).hexdigest()
    )
    for damage in (Path.unlink, lambda path: path.write_bytes(b"")):
        damage(next((out / "images").rglob("*.jpg")))
        build("cub", archives, out, count_check=False)
        assert not store.lacking(out, [i.path for i in read_manifest(out / "test.csv")])
        assert not store.lacking(out, [i.path for i in read_manifest(out / "train.csv")])


def test_a_receipt_that_fits_spares_the_hash_and_one_that_does_not_is_ignored(archives, tmp_path):
    mine = own(archives, tmp_path)
    status = (mine / ARCHIVE).stat()
    noted = {"bytes": status.st_size, "sha256": "ab" * 32, "source": "by hand", "published": True}
    receipt = {"file": ARCHIVE, "mtime_ns": status.st_mtime_ns, "md5": None, **noted}
    (mine / f"{ARCHIVE}.verified.json").write_text(json.dumps(receipt))
    for change, entry in ((0, noted), (1, None)):
        os.utime(mine / ARCHIVE, ns=(status.st_atime_ns, status.st_mtime_ns + change))
        build("cub", mine, tmp_path / "out", count_check=False)
        found = json.loads((tmp_path / "out" / "manifest.json").read_text())["archives"][ARCHIVE]
        assert found == (entry or found)
    digest = hashlib.sha256((mine / ARCHIVE).read_bytes()).hexdigest()
    assert found == {**found, "sha256": digest, "published": False}


# The image cache


@pytest.mark.parametrize("size", [(500, 375), (375, 501), (256, 300), (20, 20), (257, 257)])
def test_a_shrunk_image_has_the_pixels_of_torchvision(size):
    from tcmbench.preparation.shrink import Cache

    original = picture(1, *size)
    shrunk = Cache(256).shrunk(original)
    if min(size) <= 256:
        assert shrunk == original
        return
    with Image.open(io.BytesIO(original)) as image:
        resized = transforms.Resize(256)(image.convert("RGB"))
    stream = io.BytesIO()
    resized.save(stream, "JPEG", quality=95, subsampling=0)
    assert shrunk == stream.getvalue()
    with Image.open(io.BytesIO(shrunk)) as image:
        assert (image.mode, min(image.size)) == ("RGB", 256)
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}


def test_a_cache_lies_beside_the_originals_and_is_recorded(archives, tmp_path, monkeypatch):
    out = tmp_path / "out"
    build("cub", archives, out, count_check=False)
    assert json.loads((out / "manifest.json").read_text())["image_cache"] is None
    build("cub", archives, out, count_check=False, short_side=64)
    record = json.loads((out / "manifest.json").read_text())
    assert record["image_cache"] == {
        "short_side": 64, "quality": 95, "subsampling": "4:4:4", "resample": "bilinear",
    }  # fmt: skip
    items = read_manifest(out / "train.csv")
    assert all(item.path.startswith("images_64/") for item in items)
    assert all((out / item.path.replace("images_64", "images")).is_file() for item in items)
    with Image.open(out / items[0].path) as image:
        assert image.size == (68, 64)
    with pytest.raises(UserError, match="at least 1 pixel, not 0"):
        build("cub", archives, out, count_check=False, short_side=0)


# Layouts


def test_an_absent_archive_names_the_other_layouts(tmp_path):
    with pytest.raises(UserError, match=r"car_ims\.tgz does not exist; fetch .*layout"):
        build("cars196", tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="has no layout 'x'"):
        build("cub", tmp_path, tmp_path / "out", layout="x")
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_member_in_the_middle_is_one_line(archives, tmp_path):
    mine = own(archives, tmp_path)
    packed = bytearray((mine / ARCHIVE).read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    (mine / ARCHIVE).write_bytes(packed)
    done = run(mine, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "images").exists()


def test_the_miniature_layouts_are_still_prepared_with_one_thread(tmp_path):
    folder = pack(tmp_path / "a", LAYOUTS["sop"]())
    build("sop", folder, tmp_path / "out", count_check=False, threads=1)
    assert len(read_manifest(tmp_path / "out" / "train.csv")) == 5
