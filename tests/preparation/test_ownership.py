"""What stands where a preparation writes: replaced if it wrote it, refused by name if not."""

import os
from pathlib import Path

import pytest

from tcmbench.common.errors import UserError
from tcmbench.images.manifests import read_manifest
from tcmbench.preparation.build import build
from tcmbench.preparation.ownership import MARK
from tests.datasets.layouts import LAYOUTS, TRUTH, pack

PATHS = {path for half in TRUTH["cub"] for path, _, _ in half}


@pytest.fixture
def archives(tmp_path):
    return pack(tmp_path / "archives", LAYOUTS["cub"]())


def prepare(archives, out, **more):
    build("cub", archives, out, count_check=False, **more)


def changed(archives):
    """Give an archive another time of change, so that its images are unpacked again."""
    archive = archives / "CUB_200_2011.tgz"
    os.utime(archive, ns=(1, archive.stat().st_mtime_ns + 1))
    return archives


def files_below(folder):
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {path for path in found if path != MARK}


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.name != ".images.lock"}


def refused(sentence, archives, out):
    before = contents(out)
    with pytest.raises(UserError) as error:
        prepare(archives, out)
    assert str(error.value) == sentence
    assert contents(out) == before


@pytest.mark.parametrize("mine", ["my_crops/crop_1.jpg", "notes.txt", ".partial/x", ".hidden"])
def test_a_folder_of_the_users_is_refused_by_the_name_of_a_file(mine, archives, tmp_path):
    path = tmp_path / "CUB_200_2011/images" / mine
    path.parent.mkdir(parents=True)
    path.write_bytes(b"three weeks of work")
    refused(
        f"{tmp_path}/CUB_200_2011/images would be replaced, but holds '{mine}', which this command "
        "did not write; move it away, or choose another folder by --out",
        archives,
        tmp_path / "CUB_200_2011",
    )


def test_a_file_put_among_ours_is_refused_once_ours_would_be_replaced(archives, tmp_path):
    out = tmp_path / "out"
    prepare(archives, out)
    (out / "images/mine.txt").write_text("x")
    prepare(archives, out)  # nothing is replaced
    with pytest.raises(UserError, match=r"but holds 'mine\.txt', which this command did not"):
        prepare(changed(archives), out)
    (out / "images/mine.txt").unlink()
    (out / "images/link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="but holds 'link', which this command did not"):
        prepare(archives, out)
    (out / "images/link").unlink()
    (out / "images/.DS_Store").touch()
    prepare(archives, out)
    assert files_below(out / "images") == PATHS


def test_a_file_in_place_of_the_folder_is_refused(archives, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/images").write_text("x")
    refused(
        f"{tmp_path}/out/images is in the way, which is no folder; move it away, or choose another "
        "folder by --out",
        archives,
        tmp_path / "out",
    )


def test_an_empty_folder_is_filled(archives, tmp_path):
    (tmp_path / "out/images/empty").mkdir(parents=True)
    prepare(archives, tmp_path / "out")
    assert files_below(tmp_path / "out/images") == PATHS


# Links


def test_a_link_to_a_bigger_disk_is_kept(archives, tmp_path):
    out, disk = tmp_path / "out", tmp_path / "disk/cub"
    out.mkdir()
    disk.mkdir(parents=True)
    (out / "images").symlink_to(disk)
    prepare(archives, out)
    assert (out / "images").is_symlink()
    assert files_below(disk) == PATHS
    assert all((out / item.path).is_file() for item in read_manifest(out / "train.csv"))
    gone = next(disk.rglob("*.jpg"))
    gone.unlink()
    prepare(changed(archives), out)
    assert (out / "images").is_symlink()
    assert files_below(disk) == PATHS
    assert {path.name for path in tmp_path.joinpath("disk").iterdir()} == {"cub"}


def test_a_link_to_a_folder_of_the_users_or_to_nowhere_is_refused(archives, tmp_path):
    out, disk = tmp_path / "out", tmp_path / "disk"
    out.mkdir()
    (out / "images").symlink_to(disk)
    with pytest.raises(UserError, match=r"images is a link to a folder that does not exist; make"):
        prepare(archives, out)
    disk.mkdir()
    (disk / "film.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"but holds 'film\.mp4', which this command did not"):
        prepare(archives, out)
    assert (disk / "film.mp4").read_bytes() == b"x"


@pytest.mark.parametrize("after", range(0, 18, 3))
def test_a_swap_through_a_link_that_is_cut_off_is_finished_by_the_next_call(
    after, archives, tmp_path, monkeypatch
):
    out, disk = tmp_path / "out", tmp_path / "disk"
    out.mkdir()
    disk.mkdir()
    (out / "images").symlink_to(disk)
    prepare(archives, out)
    rename, calls = Path.rename, []

    def cut_off(path, target):
        calls.append(path)
        if len(calls) > after:
            raise OSError("power cut")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_off)
        try:
            prepare(changed(archives), out)
        except OSError:
            assert not (out / "images.json").exists()
    prepare(archives, out)
    assert files_below(disk) == PATHS
    assert files_below(out / "images") == PATHS


# Tables


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "manifest.json"])
def test_a_table_of_the_users_is_refused(name, archives, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"mine": 1}\n')
    refused(
        f"{out / name} would be replaced, which this command did not write; move it away, or "
        "choose another folder by --manifests",
        archives,
        out,
    )


def test_a_table_that_was_changed_is_refused(archives, tmp_path):
    out = tmp_path / "out"
    prepare(archives, out)
    table = out / "train.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    refused(
        f"{table} would be replaced, which was changed since manifest.json was written; move it "
        "away, or choose another folder by --manifests",
        archives,
        out,
    )
    (out / "manifest.json").unlink()  # as a call that was cut off leaves them
    prepare(archives, out)
    assert len(read_manifest(table)) == 5
