"""A flipped bit is noticed where the file is read, and named; what is made anew is right again."""

import hashlib
import random
import shutil
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import embed as door
from tcmbench.common.errors import UserError
from tcmbench.images.loading import EvaluationView, ViewSpec
from tcmbench.images.manifests import read_manifest
from tcmbench.images.pictures import UnreadableError, open_rgb
from tcmbench.images.sums import MARK, checksum, read_list, read_sums
from tcmbench.images.views import stored_batches, write_view
from tcmbench.metrics.io.reading import read_embeddings, read_labelled
from tcmbench.preparation.build import build
from tcmbench.tables.runs import read_runs
from tcmbench.training.data import TrainingData
from tcmbench.training.loop import train
from tcmbench.training.settings import Settings
from tests.datasets.layouts import LAYOUTS, pack
from tests.tables.run_folders import write_run
from tests.training.tiny_data import config, exit_code

SPEC = ViewSpec(36, 32, (0.5, 1.0), 0.0)
FLIPS = 20


def flip(path: Path, chance: random.Random, first: int = 0) -> None:
    """Change a random bit from byte `first` on."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(first, len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    archives = pack(folder / "archives", LAYOUTS["cub"]())
    build("cub", archives, folder / "out", count_check=False)
    return folder


@pytest.fixture
def data(prepared, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def prepare_again(data):
    build("cub", data / "archives", data / "out", count_check=False)


def read_all(data):
    out = data / "out"
    items = read_manifest(out / "train.csv")
    view = EvaluationView([out / i.path for i in items], SPEC, read_sums(out, items))
    return [view[row] for row in range(len(view))]


def test_images(data):
    read_all(data)
    out, chance = data / "out", random.Random(1)
    image = out / read_manifest(out / "train.csv")[-1].path
    whole, decoded = image.read_bytes(), 0
    for _ in range(FLIPS):
        flip(image, chance)
        with suppress(UnreadableError):  # Pillow has noticed, too
            decoded += open_rgb(BytesIO(image.read_bytes())) is not None
        with pytest.raises(UserError, match=rf"image {image} (is damaged|cannot be read)"):
            read_all(data)
        image.write_bytes(whole)
    assert decoded, "Pillow alone notices all of them"
    flip(image, chance, len(whole) // 2)
    image.unlink()  # as the sentence says
    prepare_again(data)
    assert image.read_bytes() == whole
    read_all(data)


def test_a_training_looks_at_the_checksums(data):
    """Its view has those of the folder that the images lie in."""
    out = data / "out"
    items = read_manifest(out / "train.csv")
    values = config(out, manifest=str(out / "train.csv"), batch_size=2, samples_per_class=2)
    view = TrainingData(Settings.from_json(values)).view
    assert [known for _, known in view.files] == [
        checksum((out / item.path).read_bytes()) for item in items
    ]


def test_images_of_ones_own_have_no_checksum(tiny_set):
    items = read_manifest(tiny_set / "train.csv")
    assert read_sums(tiny_set, items) == [None] * len(items)


def test_a_list_from_before_there_were_checksums(tmp_path):
    (tmp_path / MARK).write_text("a/b.jpg\nc d.jpg\te.jpg\nf.jpg\t0000002a\n")
    assert read_list(tmp_path) == {"a/b.jpg": None, "c d.jpg\te.jpg": None, "f.jpg": 42}


def test_manifests(data):
    table, chance = data / "out/train.csv", random.Random(2)
    whole = table.read_bytes()
    for _ in range(FLIPS):
        flip(table, chance)
        with pytest.raises(UserError, match=rf"{table} is not the table that manifest\.json"):
            read_manifest(table)
        table.write_bytes(whole)
    table.unlink()
    prepare_again(data)
    assert table.read_bytes() == whole


def test_stored_views(data):
    out, chance = data / "out", random.Random(3)
    view = out / "views/36_32.npy"
    write_view(out / "train.csv", out, 36, 32, view)
    count, whole = len(read_manifest(out / "train.csv")), view.read_bytes()
    for first in [0, *[128] * FLIPS]:
        flip(view, chance, first)
        with pytest.raises(UserError, match=rf"{view} .*make it again with src/view\.py"):
            list(stored_batches(view, out / "train.csv", count, SPEC, 2))
        view.write_bytes(whole)
    list(stored_batches(view, out / "train.csv", count, SPEC, 2))


@pytest.fixture(scope="module")
def trained(tiny_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(Settings.from_json(config(tiny_set, epochs=1, milestones=[])), folder, "cpu")
    assert exit_code(door, *embedding(folder, tiny_set)) == 0
    return folder


def embedding(folder, images):
    paths = ["--run", folder, "--manifest", images / "train.csv", "--images", images]
    return [*paths, "--out", folder / "embeddings.npz", "--device", "cpu"]


def test_weights(trained, tiny_set, tmp_path, capsys):
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    weights, chance = folder / "model.safetensors", random.Random(4)
    flip(weights, chance, weights.stat().st_size // 2)
    (folder / "embeddings.npz").unlink()
    assert exit_code(door, *embedding(folder, tiny_set)) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {weights} is not the file that run.json beside it describes: it is damaged, or of "
        "another training; remove it and train the run again"
    )
    assert not (folder / "embeddings.npz").exists()


def test_embeddings(trained, tmp_path):
    path, chance = tmp_path / "embeddings.npz", random.Random(5)
    whole = (trained / "embeddings.npz").read_bytes()
    expected = [np.array(part) for part in read_embeddings(trained / "embeddings.npz")]
    noticed = 0
    for _ in range(10 * FLIPS):
        path.write_bytes(whole)
        flip(path, chance)
        try:
            found = read_embeddings(path)
        except UserError:
            noticed += 1
            continue
        # A name, a time of the archive, or an array that is not read.
        assert all(np.array_equal(*pair) for pair in zip(expected, found, strict=True))
    assert noticed > FLIPS


def test_measures_are_tied_to_the_weights_they_are_of(trained, tmp_path):
    weights = read_labelled(trained / "embeddings.npz").weights_sha256
    model = (trained / "model.safetensors").read_bytes()
    assert weights == hashlib.sha256(model).hexdigest()
    folder = write_run(tmp_path, "cub/resnet50/smooth_ap/base/seed0", provenance={
        "weights_sha256": weights
    })  # fmt: skip
    record = folder / "run.json"
    text = record.read_text()
    record.write_text(text.replace("{", f'{{"weights_sha256": "{weights}", ', 1))
    assert len(read_runs([folder])) == 1
    record.write_text(text.replace("{", '{"weights_sha256": "00", ', 1))
    with pytest.raises(UserError, match=r"metrics\.json was measured of other weights than run"):
        read_runs([folder])
