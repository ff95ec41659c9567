"""A full disk and one that cannot be written: one line, nothing half, and room lets it go on."""

import json

import pytest

import embed
import evaluate
import train
import view
from tcmbench.common.files import atomic_path
from tests.disks import fill, mounted, remount
from tests.training.tiny_data import config, exit_code


@pytest.fixture(scope="module")
def run(tiny_set, tmp_path_factory):
    """A run that was not disturbed, with its configuration and embeddings."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "config.json"
    file.write_text(json.dumps(config(tiny_set, epochs=2, milestones=[1])))
    assert exit_code(train, "--config", file, "--out", folder, "--device", "cpu") == 0
    assert exit_code(embed, *of_embed(folder, tiny_set, folder / "embeddings.npz")) == 0
    return folder


def of_train(run, out):
    often = ("--checkpoint-minutes", "0.00001")
    return ["--config", run / "config.json", "--out", out, "--device", "cpu", "--resume", *often]


def of_embed(run, images, out):
    paths = ["--run", run, "--manifest", images / "train.csv", "--images", images]
    return [*paths, "--out", out, "--device", "cpu"]


def refused(door, arguments, capsys):
    """Run a command that has to be refused; return its sentence."""
    capsys.readouterr()
    assert exit_code(door, *arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.splitlines()[-1]


# The disk is full at the first checkpoint, and at the second, which is written beside it.
@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_training_goes_on_from_where_the_disk_was_full(run, tmp_path, capsys, share):
    with mounted(tmp_path / "disk", "size=64m") as disk:
        weights = (run / "model.safetensors").stat().st_size
        # Adam keeps two numbers for each weight.
        ballast = fill(disk, int(3 * weights * share))
        said = refused(train, of_train(run, disk / "run"), capsys)
        assert said.startswith(f"error: No space left on device: {disk}/run/")
        assert said.endswith("; make room and call again")
        kept = (disk / "run/last.ckpt").exists()
        assert kept == (share > 1)
        assert not (disk / "run/model.safetensors").exists()
        assert not list((disk / "run").glob(".*.part*"))
        ballast.unlink()
        assert exit_code(train, *of_train(run, disk / "run")) == 0
        weights = [folder / "model.safetensors" for folder in (run, disk / "run")]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_reads_a_run_leaves_nothing_on_a_full_disk(run, tiny_set, tmp_path, capsys):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        fill(disk, 0)
        measure = ["--embeddings", run / "embeddings.npz", "--far", 0.1, 0.3]
        calls = [
            (embed, of_embed(run, tiny_set, disk / "e.npz")),
            (evaluate, [*measure, "--out", disk / "m.json"]),
            (evaluate, [*measure, "--out", disk / "m.json", "--utility", disk / "u.parquet"]),
        ]
        for door, arguments in calls:
            said = refused(door, arguments, capsys)
            assert said.startswith(f"error: No space left on device: {disk}/")
        size = ["--resize", 36, "--crop", 32]
        images = ["--manifest", tiny_set / "train.csv", "--images", tiny_set]
        said = refused(view, [*images, *size, "--out", disk / "v.npy"], capsys)
        assert "the evaluation view takes" in said
        assert [path.name for path in disk.iterdir()] == ["ballast"]


def test_a_folder_that_cannot_be_written_is_one_line(run, tiny_set, tmp_path, capsys):
    with mounted(tmp_path / "disk", "size=16m") as disk:
        (disk / "run").mkdir()
        remount(disk, "ro")
        calls = [
            (train, of_train(run, disk / "run")),
            (train, of_train(run, disk / "new")),
            (embed, of_embed(run, tiny_set, disk / "e.npz")),
            (evaluate, ["--embeddings", run / "embeddings.npz", "--out", disk / "m.json"]),
        ]
        for door, arguments in calls:
            said = refused(door, arguments, capsys)
            assert said.startswith(f"error: Read-only file system: {disk}/")
        remount(disk, "rw")
        assert [path.name for path in disk.rglob("*")] == ["run"]


def test_the_true_cause_of_a_failed_write_is_named_and_no_other(tmp_path):
    """Also where a library hides it, and not where the disk has nothing to do with it."""
    with mounted(tmp_path / "disk", "size=1m") as disk:
        with pytest.raises(RuntimeError, match="mine"), atomic_path(disk / "x.bin"):
            raise RuntimeError("mine")
        fill(disk, 4096)
        with pytest.raises(OSError, match=r"No space left on device: '.*/x\.bin'"):
            write_as_torch_does(disk / "x.bin")
        assert [path.name for path in disk.iterdir()] == ["ballast"]


def write_as_torch_does(path):
    with atomic_path(path) as part:
        try:
            part.write_bytes(bytes(8192))
        except OSError:
            raise RuntimeError("unexpected pos 8192 vs 4096") from None
