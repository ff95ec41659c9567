import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import evaluate
from tcmbench import evaluation
from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError
from tcmbench.metrics import opis
from tcmbench.metrics.io.reading import read_embeddings
from tests.metrics.references import (
    clustered,
    distances,
    map_at_r_reference,
    opis_reference,
    recall_reference,
)

DOOR = Path(evaluate.__file__)
CURVES = ["class", "threshold", "utility", "sensitivity", "specificity"]
KEYS = {
    "recall_at_1",
    "recall_at_1_faiss",
    "recall_at_k",
    "map_at_r",
    "map_at_r_search",
    "opis",
    "epsilon_opis",
    "epsilon",
    "d_min",
    "d_max",
    "cosine_range",
    "far_range",
    "frr_range",
    "beta",
    "num_thresholds",
    "num_images",
    "num_classes",
    "num_excluded_classes",
    "provenance",
}


def save(path, **changes):
    embeddings, labels = clustered(0, count=100)
    paths = np.array([f"{i}.jpg" for i in range(100)])
    arrays = {"embeddings": embeddings.astype(np.float32), "labels": labels, "paths": paths}
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def run(*argv):
    """Call the command in this process; return the exit code (0 where it does not leave)."""
    try:
        run_command(evaluate.parser(), evaluate.command, [str(word) for word in argv])
    except SystemExit as leave:
        return leave.code
    return 0


def run_as_command(*argv, folder):
    return subprocess.run(
        [sys.executable, DOOR, *map(str, argv)], capture_output=True, text=True, cwd=folder
    )


def test_metrics_and_curves(tmp_path):
    source = save(tmp_path / "embeddings.npz")
    done = run_as_command(
        "--embeddings",
        "embeddings.npz",
        "--out",
        "new/metrics.json",
        "--utility",
        "new/utility.parquet",
        "--classes",
        "new/classes.parquet",
        "--curves",
        "new/curves.parquet",
        folder=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "classes.parquet",
        "curves.parquet",
        "metrics.json",
        "utility.parquet",
    ]
    metrics = json.loads((tmp_path / "new/metrics.json").read_text())
    assert set(metrics) == KEYS
    arrays = np.load(source)
    expected = opis_reference(arrays["embeddings"], arrays["labels"])
    for name in ("opis", "epsilon_opis", "d_min", "d_max", "num_excluded_classes"):
        assert metrics[name] == pytest.approx(expected[name], abs=1e-6), name
    assert metrics["map_at_r"] == pytest.approx(
        map_at_r_reference(arrays["embeddings"], arrays["labels"]), abs=1e-9
    )
    # Only the k below the number of images, 100.
    assert metrics["recall_at_k"] == {
        str(k): recall_reference(arrays["embeddings"], arrays["labels"], k)
        for k in (1, 2, 4, 8, 10, 16, 32)
    }
    assert metrics["recall_at_1"] == metrics["recall_at_k"]["1"]
    # No two of these images are nearly as far from a third.
    assert metrics["recall_at_1_faiss"] == metrics["recall_at_1"]
    assert metrics["provenance"]["faiss"]["index"] == "Flat"
    assert (metrics["far_range"], metrics["frr_range"]) == ([0.01, 0.1], None)
    assert (metrics["beta"], metrics["epsilon"], metrics["num_thresholds"]) == (1, 0.1, 101)
    assert (metrics["num_images"], metrics["num_classes"]) == (100, 9)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert metrics["provenance"]["embeddings_sha256"] == digest
    assert metrics["provenance"]["packages"]["torch"]

    table = pq.read_table(tmp_path / "new/utility.parquet")
    assert table.column_names == [*CURVES, "cosine"]
    for name in ("utility", "sensitivity", "specificity"):
        np.testing.assert_allclose(table[name], expected[name].ravel(), atol=1e-6)
    np.testing.assert_array_equal(table["class"], np.repeat(np.arange(9), 101))
    np.testing.assert_allclose(table["threshold"], np.tile(expected["thresholds"], 9), atol=1e-6)
    np.testing.assert_allclose(table["cosine"], 1 - np.array(table["threshold"]) ** 2 / 2)
    ends = [1 - metrics[name] ** 2 / 2 for name in ("d_min", "d_max")]
    assert metrics["cosine_range"] == pytest.approx(ends, abs=1e-12)
    assert metrics["map_at_r_search"] == "exact"
    check_classes(tmp_path / "new/classes.parquet", arrays)
    check_curves(tmp_path / "new/curves.parquet", arrays)


def check_curves(path, arrays):
    """At every distance, the share of pairs by the definition."""
    table, labels = pq.read_table(path).to_pandas(), arrays["labels"]
    assert [*table] == [*CURVES, "cosine"]
    d, ends = distances(arrays["embeddings"]), np.linspace(0, 2, 101)
    upper = np.triu(np.ones_like(d, dtype=bool), 1)
    kept = [name for name in np.unique(labels) if (labels == name).sum() > 1]
    assert table["class"].tolist() == np.repeat(kept, 101).tolist()
    for name, rows in table.groupby("class"):
        np.testing.assert_allclose(rows["threshold"], ends)
        own = (labels == name)[:, None] & (labels == name) & upper
        other = ((labels == name)[:, None] ^ (labels == name)) & upper
        sensitivity = np.array([(d[own] <= end).mean() for end in ends])
        specificity = np.array([(d[other] > end).mean() for end in ends])
        np.testing.assert_allclose(rows["sensitivity"], sensitivity, atol=1e-12)
        np.testing.assert_allclose(rows["specificity"], specificity, atol=1e-12)
        total = sensitivity + specificity
        utility = 2 * sensitivity * specificity / np.where(total > 0, total, 1)
        np.testing.assert_allclose(rows["utility"], utility, atol=1e-12)


def check_classes(path, arrays):
    table, labels = pq.read_table(path), arrays["labels"]
    assert table.column_names == ["class", "num_images", "recall_at_1"]
    d = distances(arrays["embeddings"])
    np.fill_diagonal(d, np.inf)
    hit = labels[d.argmin(axis=1)] == labels
    names = np.unique(labels)
    np.testing.assert_array_equal(table["class"], names)
    np.testing.assert_array_equal(table["num_images"], [(labels == name).sum() for name in names])
    expected = [hit[labels == name].mean() for name in names]
    np.testing.assert_allclose(table["recall_at_1"], expected, atol=1e-12)
    assert len(set(expected)) > 2


def test_options_reach_the_metrics(tmp_path):
    source = save(tmp_path / "e.npz")
    out = tmp_path / "m.json"
    options = ("--far", 0.02, 0.2, "--beta", 2, "--epsilon", 0.3, "--thresholds", 11)
    assert run("--embeddings", source, "--out", out, *options, "--device", "cpu") == 0
    metrics = json.loads(out.read_text())
    arrays = np.load(source)
    result = opis(arrays["embeddings"], arrays["labels"], (0.02, 0.2), 2.0, 0.3, 11)
    assert (metrics["opis"], metrics["epsilon_opis"]) == (result.opis, result.epsilon_opis)
    assert metrics["far_range"] == [0.02, 0.2]
    assert (metrics["beta"], metrics["epsilon"], metrics["num_thresholds"]) == (2, 0.3, 11)
    assert not (tmp_path / "utility.parquet").exists()


def test_false_reject_rates_instead(tmp_path):
    source = save(tmp_path / "e.npz")
    out = tmp_path / "m.json"
    assert run("--embeddings", source, "--out", out, "--frr", 0.1, 0.5) == 0
    metrics = json.loads(out.read_text())
    arrays = np.load(source)
    expected = opis_reference(arrays["embeddings"], arrays["labels"], frr=(0.1, 0.5))
    assert metrics["d_min"] == pytest.approx(expected["d_min"], abs=1e-6)
    assert metrics["opis"] == pytest.approx(expected["opis"], abs=1e-6)
    assert (metrics["far_range"], metrics["frr_range"]) == (None, [0.1, 0.5])


def test_both_kinds_of_rates_are_refused(tmp_path, capsys):
    source = save(tmp_path / "e.npz")
    both = ("--far", 0.01, 0.1, "--frr", 0.01, 0.1)
    assert run("--embeddings", source, "--out", tmp_path / "m.json", *both) == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_help_names_units_and_defaults_without_torch():
    script = (
        f"import runpy, sys; sys.argv = ['evaluate.py', '--help']\n"
        f"sys.path.insert(0, {str(DOOR.parent)!r})\n"
        f"try: runpy.run_path({str(DOOR)!r}, run_name='__main__')\n"
        f"except SystemExit: print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    for words in ("default: 0.01 0.1", "default: 101", "false accept rates", "FILE.npz"):
        assert words in " ".join(shown.split())
    assert shown.endswith("False\n")


NAN = np.where(np.arange(100)[:, None] == 17, np.nan, 1.0)
OBJECTS = np.array([{}] * 100, dtype=object)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"embeddings": NAN}, "NaN or infinity in row 17"),
        ({"labels": np.zeros(99, dtype=np.int64)}, "labels have shape (99,) but there are 100"),
        ({"labels": np.full(100, 3)}, "all images have the label 3"),
        ({"labels": np.arange(100)}, "no class has two images"),
        ({"labels": None}, "has no array 'labels' (it has embeddings, paths)"),
        ({"embeddings": None}, "has no array 'embeddings'"),
        ({"labels": OBJECTS}, "bad.npz: 'labels' holds Python objects, which are not opened"),
    ],
)
def test_unusable_arrays(tmp_path, capsys, changes, sentence):
    source = save(tmp_path / "bad.npz", **changes)
    outputs = ("--out", tmp_path / "m.json", "--utility", tmp_path / "u.parquet")
    assert run("--embeddings", source, *outputs) == 2
    assert_one_sentence(capsys.readouterr().err, "bad.npz", sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; save or copy it again"),
        (
            b"a,b\n1,2\n",
            "has no column 'embeddings' (it has a, b); save it under that name, or name",
        ),
        (b"\xef\xbb\xbfembedding;class\r\n[1];x\r\n", "has no column 'labels' (it has embedding,"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "is a pointer of git LFS in place of the file; fetch",
        ),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file"),
        (b"PAR1" + bytes(99) + b"PAR1", "is not a whole Parquet table"),
        (
            b"\n<!DOCTYPE html><title>Quota exceeded</title>",
            "is a web page ('Quota exceeded'); down",
        ),
        (b'{"error": "expired"}', "is a JSON text"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(99), "is a MATLAB file; read it"),
        (b"\x1f\x8b\x08" + bytes(99), "is a gzip file; unpack it"),
        (b"\x80\x04\x95" + bytes(99), "is not a PyTorch file of plain tensors"),
        (b'\x20\0\0\0\0\0\0\0{"embeddings":{"dtype":"F32"', "is not a whole safetensors file"),
        ("torch", "has no tensor 'labels' (it has embeddings)"),
        (bytes(500), "is not a whole .npz"),
        (b"PK\x03\x04 and no more", "is not a whole .npz"),
        ("truncated", "is not a whole .npz"),
        ("damaged", "is not a whole .npz"),
        ("bare", "is one bare array"),
        (None, "does not exist"),
    ],
)
def test_unusable_files(tmp_path, capsys, content, sentence):
    source = save(tmp_path / "bad.npz")
    whole = source.read_bytes()
    if content == "truncated":
        source.write_bytes(whole[: len(whole) // 2])
    elif content == "damaged":
        source.write_bytes(whole[:2000] + bytes(1000) + whole[3000:])
    elif content == "bare":
        with source.open("wb") as stream:
            np.save(stream, np.eye(3))
    elif content == "torch":
        torch.save({"embeddings": torch.eye(3)}, source)
    elif content is None:
        source.unlink()
    else:
        source.write_bytes(content)
    assert run("--embeddings", source, "--out", tmp_path / "m.json") == 2
    assert_one_sentence(capsys.readouterr().err, "bad.npz", sentence)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_without_numpys_suffix(tmp_path, compression):
    source = save(tmp_path / "e.npz")
    other = zipfile.ZipFile(tmp_path / "other.npz", "w", compression)
    with other, zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            other.writestr(name.removesuffix(".npy"), archive.read(name))
    found, expected = read_embeddings(tmp_path / "other.npz"), read_embeddings(source)
    for one, two in zip(found, expected, strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("option", ["--out", "--utility"])
def test_unwritable_folder_is_found_before_the_work(tmp_path, monkeypatch, capsys, option):
    # A folder below a regular file can be made by nobody, not even root.
    monkeypatch.setattr(evaluation, "measure", lambda *_: pytest.fail("computed first"))
    (tmp_path / "file").touch()
    paths = {"--out": tmp_path / "m.json", option: tmp_path / "file" / "below" / "x"}
    words = [word for pair in paths.items() for word in pair]
    assert run("--embeddings", save(tmp_path / "e.npz"), *words) == 2
    assert_one_sentence(capsys.readouterr().err, "file", "check that the path exists")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.npz", "file"]


def test_a_folder_as_output_is_refused(tmp_path, capsys):
    assert run("--embeddings", save(tmp_path / "e.npz"), "--out", tmp_path) == 2
    assert_one_sentence(capsys.readouterr().err, "is a folder", "name a file in it")


def test_earlier_results_survive_a_failure(tmp_path):
    source, out, curves = save(tmp_path / "e.npz"), tmp_path / "m.json", tmp_path / "u.parquet"
    assert run("--embeddings", source, "--out", out, "--utility", curves) == 0
    before = out.read_bytes(), curves.read_bytes()
    save(source, labels=np.full(100, 3))
    assert run("--embeddings", source, "--out", out, "--utility", curves) == 2
    assert (out.read_bytes(), curves.read_bytes()) == before


def test_metrics_are_written_last(tmp_path, monkeypatch):
    # Curves that cannot be put in place must leave no metrics behind that promise them.
    source, curves = save(tmp_path / "e.npz"), tmp_path / "folder"
    curves.mkdir()
    assert run("--embeddings", source, "--out", tmp_path / "m.json", "--utility", curves) == 2
    assert not (tmp_path / "m.json").exists()


def test_exit_code_of_the_real_command(tmp_path):
    source = save(tmp_path / "bad.npz", embeddings=NAN)
    done = run_as_command("--embeddings", source, "--out", "m.json", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_sentence(done.stderr, "bad.npz", "NaN or infinity in row 17")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


def test_debug_shows_the_traceback(tmp_path):
    source = save(tmp_path / "bad.npz", labels=None)
    with pytest.raises(UserError, match="has no array 'labels'"):
        run("--embeddings", source, "--out", tmp_path / "m.json", "--debug")


def assert_one_sentence(stderr, *parts):
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    for part in parts:
        assert part in stderr
