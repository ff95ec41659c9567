"""Embeddings in every form of file give the same arrays, and nothing in a file is executed."""

import csv
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from tcmbench.common.errors import UserError
from tcmbench.metrics.io.reading import Keys, read_labelled

ROWS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
LABELS = np.array([3, 3, 9, 9, 9, 5, 5])
TEXTS = ["owl", "owl", "auk", "auk", "auk", "007", "007"]
COLUMNS = [f"dim_{number}" for number in range(3)]


def write_csv(path, header, rows, delimiter=","):
    with path.open("w", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return path


def lists(labels, name="embedding"):
    return pa.table({name: [row.tolist() for row in ROWS], "label": labels})


def write(path, form):
    """Write ROWS and LABELS in one of the forms."""
    plain = [row.tolist() for row in ROWS]
    if form == "npz":
        with path.open("wb") as stream:
            np.savez(stream, embeddings=ROWS, labels=LABELS)
    elif form == "parquet of lists":
        pq.write_table(lists(LABELS), path)
    elif form == "parquet of lists of one length":
        rows = pa.FixedSizeListArray.from_arrays(pa.array(ROWS.ravel()), 3)
        pq.write_table(pa.table({"embeddings": rows, "labels": LABELS}), path, row_group_size=2)
    elif form == "parquet of dimensions":
        columns = dict(zip(reversed(COLUMNS), ROWS.T[::-1], strict=True))
        pq.write_table(pa.table(columns | {"label": LABELS}), path)
    elif form == "csv of lists":
        write_csv(path, ["label", "embedding"], zip(LABELS, plain, strict=True))
    elif form == "csv of arrays as printed":
        rows = [str(row).replace("\n", "") for row in ROWS]
        np.set_printoptions(precision=9)
        write_csv(path, ["label", "embedding"], zip(LABELS, rows, strict=True), ";")
    elif form == "csv of dimensions":
        rows = [[*row, label] for row, label in zip(plain, LABELS, strict=True)]
        write_csv(path, ["0", "1", "2", "label"], rows, "\t")
    elif form == "pt":
        torch.save({"embeddings": torch.from_numpy(ROWS), "labels": LABELS.tolist()}, path)
    elif form == "pt of long ago":
        content = {"embeddings": torch.from_numpy(ROWS), "labels": torch.from_numpy(LABELS)}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    else:
        content = {"embeddings": torch.from_numpy(ROWS), "labels": torch.from_numpy(LABELS)}
        save_file(content, path)


@pytest.mark.parametrize(
    "form",
    [
        "npz",
        "parquet of lists",
        "parquet of lists of one length",
        "parquet of dimensions",
        "csv of lists",
        "csv of arrays as printed",
        "csv of dimensions",
        "pt",
        "pt of long ago",
        "safetensors",
    ],
)
def test_every_form_gives_the_same_arrays(tmp_path, form):
    # The name says nothing: the content decides.
    write(tmp_path / "mine", form)
    found = read_labelled(tmp_path / "mine")
    # Printed arrays have eight digits.
    np.testing.assert_allclose(found.embeddings, ROWS, rtol=1e-6 if "printed" in form else 0)
    assert found.labels.tolist() == LABELS.tolist()
    assert found.names == {}


def test_labels_that_are_texts_are_numbered_and_kept_as_names(tmp_path):
    path = write_csv(
        tmp_path / "e.csv", ["embedding", "label"], zip(ROWS.tolist(), TEXTS, strict=True)
    )
    found = read_labelled(path)
    # "007" is no number: as one it would be 7.
    assert found.names == {0: "007", 1: "auk", 2: "owl"}
    assert found.labels.tolist() == [2, 2, 1, 1, 1, 0, 0]
    np.savez(tmp_path / "e.npz", embeddings=ROWS, labels=np.array(TEXTS))
    assert read_labelled(tmp_path / "e.npz").names == found.names
    pq.write_table(lists(pa.array(TEXTS).dictionary_encode()), tmp_path / "e.parquet")
    assert read_labelled(tmp_path / "e.parquet").names == found.names
    torch.save({"embedding": torch.from_numpy(ROWS), "label": TEXTS}, tmp_path / "e.pt")
    assert read_labelled(tmp_path / "e.pt").names == found.names
    np.savez(tmp_path / "e.npz", embeddings=ROWS, labels=LABELS, class_names=np.array(TEXTS))
    found = read_labelled(tmp_path / "e.npz")
    assert (found.names, found.texts) == ({3: "owl", 9: "auk", 5: "007"}, False)


def test_keys_name_what_is_read(tmp_path):
    np.savez(tmp_path / "e.npz", embeddings=ROWS[:, :1], deep=ROWS, labels=LABELS, kind=LABELS + 1)
    found = read_labelled(tmp_path / "e.npz", keys=Keys("deep", "kind"))
    assert found.embeddings.shape == (7, 3)
    assert found.labels.tolist() == (LABELS + 1).tolist()
    columns = {f"{name}{number}": ROWS[:, number] for name in "xy" for number in range(3)}
    pq.write_table(pa.table(columns | {"label": LABELS}), tmp_path / "e.parquet")
    with pytest.raises(UserError, match=r"several sets of numbered columns \(x, y\)"):
        read_labelled(tmp_path / "e.parquet")
    found = read_labelled(tmp_path / "e.parquet", keys=Keys("y"))
    np.testing.assert_array_equal(found.embeddings, ROWS)
    with pytest.raises(UserError, match=r"no column 'z' \(it has x0, .*; save it under that name"):
        read_labelled(tmp_path / "e.parquet", keys=Keys("z"))
    np.savez(tmp_path / "e.npz", embeddings=ROWS, kind=LABELS)
    with pytest.raises(UserError, match=r"no array 'labels' .* or name another with --label-key"):
        read_labelled(tmp_path / "e.npz")


def test_bare_tensors_and_arrays_are_a_pair(tmp_path):
    torch.save(torch.from_numpy(ROWS).bfloat16(), tmp_path / "e.pt")
    np.save(tmp_path / "l.npy", np.array(TEXTS))
    found = read_labelled(tmp_path / "e.pt", tmp_path / "l.npy")
    assert found.embeddings.dtype == np.float32
    np.testing.assert_allclose(found.embeddings, ROWS, rtol=1e-2)
    assert found.names[2] == "owl"
    with pytest.raises(UserError, match="is one bare array; give its labels with --labels"):
        read_labelled(tmp_path / "e.pt")
    np.savez(tmp_path / "e.npz", embeddings=ROWS, labels=LABELS)
    with pytest.raises(UserError, match=r"holds several arrays \(embeddings, labels\)"):
        read_labelled(tmp_path / "e.npz", tmp_path / "l.npy")


class Runs:
    """Pickled, it makes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("form", ["torch.save", "torch.save of long ago", "pickle"])
def test_nothing_in_a_file_is_executed(tmp_path, form):
    content = {"embeddings": torch.from_numpy(ROWS), "labels": Runs(tmp_path / "executed")}
    if form == "pickle":
        (tmp_path / "e.pt").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / "e.pt", _use_new_zipfile_serialization="long" not in form)
    with pytest.raises(
        UserError, match=r"not a PyTorch file of plain tensors .* none of it is run"
    ):
        read_labelled(tmp_path / "e.pt")
    assert not (tmp_path / "executed").exists()
    np.savez(
        tmp_path / "e.npz", embeddings=ROWS, labels=np.array([Runs(tmp_path / "executed")] * 7)
    )
    with pytest.raises(UserError, match="holds Python objects"):
        read_labelled(tmp_path / "e.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["[1, 2, 3]", "[1, 2]"], "has 3 numbers in row 0 but 2 in row 1"),
        (["[1, 2, 3]", "[1, 2, x]"], "'embedding' is no list of numbers"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, cells, message):
    path = write_csv(tmp_path / "e.csv", ["embedding", "label"], [[cell, 1] for cell in cells])
    with pytest.raises(UserError, match=message):
        read_labelled(path)


def test_gaps_are_named(tmp_path):
    path = write_csv(tmp_path / "e.csv", ["embedding", "label"], [["[1,2]", "a"], ["[1,2]", ""]])
    with pytest.raises(UserError, match="'label' is empty in row 1"):
        read_labelled(path)
    labels = pa.array([1, None, 3, 4, 5, 6, 7])
    pq.write_table(lists(labels), tmp_path / "e.parquet")
    with pytest.raises(UserError, match="'label' is empty in row 1"):
        read_labelled(tmp_path / "e.parquet")
    path.write_text("embedding,label\n[1],a,b\n")
    with pytest.raises(UserError, match="is not a whole CSV table"):
        read_labelled(path)
    with pytest.raises(UserError, match="is a folder"):
        read_labelled(tmp_path)


def test_the_model_is_named_by_one_text_alone(tmp_path):
    np.savez(tmp_path / "a.npz", embeddings=ROWS, labels=LABELS, weights_sha256=np.array("ab"))
    assert read_labelled(tmp_path / "a.npz").weights_sha256 == "ab"
    np.savez(tmp_path / "b.npz", embeddings=ROWS, labels=LABELS, weights_sha256=["ab"] * 7)
    assert read_labelled(tmp_path / "b.npz").weights_sha256 is None
