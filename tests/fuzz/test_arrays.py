"""Arrays and weights of random damage or ill will: read, or refused, and no pickle is ever run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors

from tcmbench.common.errors import UserError
from tcmbench.images.loading import ViewSpec
from tcmbench.images.views import stored_batches
from tcmbench.metrics.io.reading import read_embeddings, read_labelled
from tcmbench.models.hub import pretrained
from tcmbench.models.network import load_tensors
from tcmbench.training import checkpoint
from tests.fuzz.damage import damaged, fuzzed, harmless

ROWS = np.eye(6, 4, dtype="f4")
LABELS = np.array([0, 0, 1, 1, 2, 2])
NAMES = np.array(["a", "a", "b", "b", "c", "c"])


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(save, **arrays: object) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def read_npz(path):
    read_labelled(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_npz(save, tmp_path):
    whole = npz(save, embeddings=ROWS, labels=LABELS, class_names=NAMES)

    @fuzzed
    @given(st.one_of(damaged(whole), st.binary(max_size=200).map(lambda end: b"PK\3\4" + end)))
    def run(content):
        harmless(read_npz, tmp_path / "e.npz", content)

    assert harmless(read_npz, tmp_path / "e.npz", whole)
    run()


HEADERS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999, 4)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-6, -4)}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': 3, 'shape': (True,)}",
            "{'descr': '<f4', 'shape': ()}",
            "(" * 5000,
            "-" * 5000 + "1",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        ]
    ),
)


@fuzzed
@given(HEADERS, st.sampled_from([1, 2, 3, 9]))
def test_strange_headers_of_arrays(tmp_path_factory, header, version):
    text = header.encode("utf-8" if version > 2 else "latin-1", "replace")
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    array = b"\x93NUMPY" + bytes([version, 0]) + length + text + ROWS.tobytes()
    folder = tmp_path_factory.mktemp("npy")
    np.save(folder / "l.npy", LABELS)
    harmless(lambda path: read_embeddings(path, folder / "l.npy"), folder / "e.npy", array)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as bundle:
            bundle.writestr("embeddings.npy", array)
            bundle.writestr("labels.npy", npy(LABELS))
        harmless(read_npz, folder / "e.npz", packed.getvalue())


def test_damaged_npy(tmp_path):
    np.save(tmp_path / "l.npy", LABELS)
    read = lambda path: read_embeddings(path, tmp_path / "l.npy")  # noqa: E731

    @fuzzed
    @given(damaged(npy(ROWS)))
    def run(content):
        harmless(read, tmp_path / "e.npy", content)

    assert harmless(read, tmp_path / "e.npy", npy(ROWS))
    run()


def test_damaged_views(tmp_path):
    (tmp_path / "m.csv").write_text("path,label,class_name\na.jpg,0,a\n")
    (tmp_path / "v.json").write_text("{}")
    spec = ViewSpec(8, 8, crop_scale=(1.0, 1.0), flip=0.0)

    def read(path):
        list(stored_batches(path, tmp_path / "m.csv", 1, spec, 1))

    @fuzzed
    @given(
        st.one_of(damaged(npy(np.zeros((1, 3, 8, 8), np.uint8))), st.just(npz(np.savez, a=ROWS)))
    )
    def run(content):
        harmless(read, tmp_path / "v.npy", content)

    run()


def test_damaged_safetensors(tmp_path):
    layer = torch.nn.Linear(4, 2)
    whole = save_tensors({name: value.numpy() for name, value in layer.state_dict().items()})
    read = lambda path: load_tensors(torch.nn.Linear(4, 2), path)  # noqa: E731

    @fuzzed
    @given(st.one_of(damaged(whole), st.binary(max_size=80).map(lambda end: whole[:8] + end)))
    def run(content):
        harmless(read, tmp_path / "w.safetensors", content)

    assert harmless(read, tmp_path / "w.safetensors", whole)
    run()


# Pickles with a payload, wherever something is loaded.


@pytest.fixture
def mark(tmp_path):
    """The file that would be there if anything were unpickled."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def test_a_payload_would_run_if_it_were_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("member", ["embeddings", "labels", "class_names"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_payload_in_an_npz_is_not_run(mark, member, save, tmp_path):
    evil = np.array([Payload(mark)] * 6, dtype=object)
    arrays = {"embeddings": ROWS, "labels": LABELS, "class_names": NAMES, member: evil}
    (tmp_path / "e.npz").write_bytes(npz(save, **arrays))
    with pytest.raises(UserError, match="Python objects"):
        read_npz(tmp_path / "e.npz")


def test_a_payload_in_an_npy_or_under_its_name_is_not_run(mark, tmp_path):
    np.save(tmp_path / "l.npy", LABELS)
    evil = np.array([Payload(mark)] * 6, dtype=object)
    for content in (npy(evil), pickle.dumps(Payload(mark))):
        (tmp_path / "e.npy").write_bytes(content)
        with pytest.raises(UserError):
            read_embeddings(tmp_path / "e.npy", tmp_path / "l.npy")
        (tmp_path / "e.npz").write_bytes(content)
        with pytest.raises(UserError):
            read_embeddings(tmp_path / "e.npz")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_payload_in_weights_is_not_run(mark, zipped, tmp_path):
    path = tmp_path / "model.safetensors"
    torch.save({"weight": Payload(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError):
        load_tensors(torch.nn.Linear(4, 2), path)
    with pytest.raises(UserError, match="pickle"):
        pretrained("test_resnet.r160_in1k", {}, file=path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_payload_in_a_checkpoint_is_not_run(mark, zipped, tmp_path, capsys):
    saved = {"identity": {}, "state": Payload(mark)}
    torch.save(saved, tmp_path / checkpoint.NAME, _use_new_zipfile_serialization=zipped)
    assert checkpoint.restore(tmp_path, {}) is None
    assert "starting over" in capsys.readouterr().err


@pytest.mark.parametrize("saved", [[], 3, {"identity": 3}, {"identity": {}}, {"state": {}}, None])
def test_a_checkpoint_of_something_else_starts_over(saved, tmp_path, capsys):
    torch.save(saved, tmp_path / checkpoint.NAME)
    assert checkpoint.restore(tmp_path, {}) is None
    assert "starting over" in capsys.readouterr().err
