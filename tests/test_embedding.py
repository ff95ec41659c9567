"""Embeddings of a split: what the file holds, against one image at a time; and bad input."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

import embed as door
from tcmbench import embedding
from tcmbench.embedding import embed
from tcmbench.images import loading
from tcmbench.images.loading import EvaluationView, ViewSpec, normalize
from tcmbench.images.manifests import Item, read_manifest, write_manifest
from tcmbench.images.views import write_view
from tcmbench.models.network import EmbeddingModel, ModelSpec, load_tensors
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.benchmarks.tensor_cores import TensorCores
from tests.training.tiny_data import config, exit_code

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tiny_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(Settings.from_json(config(tiny_set, epochs=1)), folder, "cpu")
    return folder


@pytest.fixture
def manifest(tiny_set, tmp_path):
    """Every third image, in an order of its own."""
    items = read_manifest(tiny_set / "train.csv")[::3]
    lines = [f"{item.path},{item.label},{item.class_name}" for item in reversed(items)]
    path = tmp_path / "test.csv"
    path.write_text("\n".join(["path,label,class_name", *lines]))
    return path


def arguments(run, manifest, tiny_set, out):
    return [
        *("--run", run, "--manifest", manifest, "--images", tiny_set),
        *("--out", out, "--device", "cpu"),
    ]


def test_content(run, manifest, tiny_set, tmp_path, monkeypatch):
    # A last batch that is not full.
    monkeypatch.setattr(embedding, "BATCH", {"cpu": 8})
    out = tmp_path / "new/embeddings.npz"
    assert exit_code(door, *arguments(run, manifest, tiny_set, out)) == 0
    with np.load(out) as found:
        assert set(found) == {"embeddings", "labels", "paths", "weights_sha256"}
        weights = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
        assert str(found["weights_sha256"]) == weights
        vectors, labels, paths = found["embeddings"], found["labels"], found["paths"]
    items = read_manifest(manifest)
    assert vectors.dtype == np.float32
    assert labels.dtype == np.int64
    assert paths.tolist() == [item.path for item in items]
    assert labels.tolist() == [item.label for item in items]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, one_by_one(run, tiny_set, items), atol=1e-5)


@torch.no_grad()
def one_by_one(run, images, items):
    settings = config(images)
    model = EmbeddingModel(ModelSpec(**settings["model"]))
    load_tensors(model, run / "model.safetensors")
    model.eval()
    view = EvaluationView([images / item.path for item in items], ViewSpec(**settings["view"]))
    return torch.cat([model(normalize(view[i][None])) for i in range(len(items))]).numpy()


def test_same_bytes_again_whatever_the_name(run, manifest, tiny_set, tmp_path):
    embed(run, manifest, tiny_set, tmp_path / "a.npz", CPU)
    torch.manual_seed(3)
    embed(run, manifest, tiny_set, tmp_path / "b", CPU)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b", "test.csv"]


def test_a_stored_view_gives_the_same_bits(run, manifest, tiny_set, tmp_path, monkeypatch):
    stored = tmp_path / "view.npy"
    write_view(manifest, tiny_set, 36, 32, stored)
    arguments_of = lambda out: arguments(run, manifest, tiny_set, tmp_path / out)  # noqa: E731
    assert exit_code(door, *arguments_of("decoded.npz")) == 0
    # With the view, no image file is opened.
    monkeypatch.setattr(loading, "load_rgb", lambda path: pytest.fail(f"{path} was decoded"))
    assert exit_code(door, *arguments_of("stored.npz"), "--view", stored) == 0
    assert (tmp_path / "decoded.npz").read_bytes() == (tmp_path / "stored.npz").read_bytes()


def test_embeddings_are_float32_whatever_the_training_was(run, manifest, tiny_set, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    record = json.loads((copy / "run.json").read_text())
    record["config"]["compute"] = {"precision": "bfloat16", "compile": False}
    (copy / "run.json").write_text(json.dumps(record))
    embed(run, manifest, tiny_set, tmp_path / "a.npz", CPU)
    embed(copy, manifest, tiny_set, tmp_path / "b.npz", CPU)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_embeddings_are_float32_where_a_gpu_would_round_them(run, manifest, tiny_set, tmp_path):
    embed(run, manifest, tiny_set, tmp_path / "plain.npz", CPU)
    # Convolutions on a GPU are TF32 unless told otherwise: the switch is torch's default.
    assert torch.backends.cudnn.conv.fp32_precision == "tf32"
    with TensorCores() as cores:
        embed(run, manifest, tiny_set, tmp_path / "cores.npz", CPU)
    assert cores.counts["float32"] > 10
    assert cores.counts["tf32"] == cores.counts["half"] == 0
    assert (tmp_path / "plain.npz").read_bytes() == (tmp_path / "cores.npz").read_bytes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_processors_embeddings(run, manifest, tiny_set, tmp_path):
    embed(run, manifest, tiny_set, tmp_path / "cpu.npz", CPU)
    embed(run, manifest, tiny_set, tmp_path / "cuda.npz", torch.device("cuda"))
    with np.load(tmp_path / "cpu.npz") as cpu, np.load(tmp_path / "cuda.npz") as cuda:
        # TF32 would be off by 1e-3.
        assert np.allclose(cpu["embeddings"], cuda["embeddings"], atol=1e-5)


def no_run(run, manifest):
    shutil.rmtree(run)
    return f"{run}/run.json does not exist; check the path"


def no_weights(run, manifest):
    (run / "model.safetensors").unlink()
    return f"weights {run}/model.safetensors do not exist; run the rule that makes them"


def no_config(run, manifest):
    (run / "run.json").write_text('{"seed": 1}')
    return f"{run}/run.json is not the record of a training; name the folder of a finished run"


def odd_model(run, manifest):
    record = json.loads((run / "run.json").read_text())
    record["config"]["model"]["polling"] = "gem"
    (run / "run.json").write_text(json.dumps(record))
    return f"{run}/run.json: model has an unknown key 'polling'; did you mean 'pooling'?"


def no_image(run, manifest):
    write_manifest(manifest, [*read_manifest(manifest), Item("99/0.jpg", 99, "99")])
    return "99/0.jpg cannot be read ("


@pytest.mark.parametrize("harm", [no_run, no_weights, no_config, odd_model, no_image])
def test_bad_input_is_one_sentence(run, manifest, tiny_set, tmp_path, capsys, harm):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    sentence = harm(copy, manifest)
    out = tmp_path / "out/embeddings.npz"
    assert exit_code(door, *arguments(copy, manifest, tiny_set, out)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
    assert not out.parent.exists()
