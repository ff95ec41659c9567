"""Views of images against Pillow's own operations, and files of every kind."""

import io
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader

from tcmbench.common.errors import UserError
from tcmbench.images import loading
from tcmbench.images.loading import (
    Draw,
    EvaluationView,
    TrainingView,
    ViewSpec,
    load_batches,
    load_rgb,
    normalize,
    num_workers,
)

SPEC = ViewSpec(resize=36, crop=32, crop_scale=(0.5, 1.0), flip=0.5)


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(found):
        noise(50 + number, 41, number).save(path)
    return found


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("L", "grey.jpg"),
        ("CMYK", "cmyk.jpg"),
        ("P", "palette.gif"),
        ("P", "palette.png"),
        ("RGBA", "alpha.png"),
        ("LA", "alpha.png"),
        ("1", "binary.png"),
    ],
)
@pytest.mark.parametrize("size", [(47, 40), (1, 1)])
def test_every_kind_of_file_becomes_rgb(tmp_path, mode, name, size):
    path = tmp_path / name
    noise(*size).convert(mode).save(path)
    assert load_rgb(path).mode == "RGB"
    for pixels in (EvaluationView([path], SPEC)[0], TrainingView([path], SPEC)[Draw(0, 1)]):
        assert pixels.shape == (3, 32, 32)
        assert pixels.dtype == torch.uint8


def test_grey_has_three_equal_channels(tmp_path):
    Image.new("L", (40, 40), 77).save(tmp_path / "grey.png")
    assert EvaluationView([tmp_path / "grey.png"], SPEC)[0].unique().tolist() == [77]


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\xff\xd8\xff\xe0 cut"])
def test_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "bird.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_rgb(path)
    assert str(error.value).startswith(f"image {path} cannot be read (")
    assert str(error.value).endswith("; prepare the dataset again")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1), flipped=st.integers(0, 10**6))
def test_damaged_file_is_read_or_named(tmp_path, kind, share, flipped):
    stream = io.BytesIO()
    noise(24, 24).save(stream, kind)
    data = bytearray(stream.getvalue())
    data[flipped % len(data)] ^= 0xFF
    path = tmp_path / "damaged"
    path.write_bytes(data[: int(share * len(data))])
    # A few bits may be wrong without notice; any error but the user's would fail this test.
    with suppress(UserError):
        assert load_rgb(path).mode == "RGB"


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (36, 36), (20, 91), (201, 64)])
def test_evaluation_view_is_resize_and_centre_crop(tmp_path, size):
    path = tmp_path / "image.png"
    original = noise(*size)
    original.save(path)
    width, height = size
    short = min(size)
    scaled = original.resize((36 * width // short, 36 * height // short), Image.Resampling.BILINEAR)
    left, top = round((scaled.width - 32) / 2), round((scaled.height - 32) / 2)
    expected = np.asarray(scaled.crop((left, top, left + 32, top + 32)))
    found = EvaluationView([path], SPEC)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(found, expected)


def test_draw_decides_the_pixels_whatever_the_global_state(paths):
    view = TrainingView(paths, SPEC)
    torch.manual_seed(1)
    first = view[Draw(1, 42)]
    torch.manual_seed(2)
    view[Draw(0, 7)]
    assert torch.equal(first, view[Draw(1, 42)])
    assert not torch.equal(first, view[Draw(1, 43)])


def test_images_are_read_once_while_there_is_room_for_them(paths, monkeypatch):
    read = []
    original = loading.load_rgb
    monkeypatch.setattr(loading, "load_rgb", lambda *file: (read.append(file), original(*file))[1])
    draws = [Draw(0, 1), Draw(1, 2), Draw(0, 3), Draw(1, 4)]
    monkeypatch.setattr(loading, "KEPT_PIXELS", 0)
    expected = TrainingView(paths, SPEC).__getitems__(draws)
    assert [path for path, _ in read] == [paths[draw.row] for draw in draws]
    read.clear()
    with Image.open(paths[0]) as image:
        monkeypatch.setattr(loading, "KEPT_PIXELS", image.width * image.height)
    assert torch.equal(TrainingView(paths, SPEC).__getitems__(draws), expected)
    assert [path for path, _ in read] == [paths[0], paths[1], paths[1]]


def test_global_state_is_left_alone(paths):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    TrainingView(paths, SPEC)[Draw(0, 1)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.initial_seed() == 5


def test_flip_mirrors_the_crop(paths):
    never, always = (
        TrainingView(paths, ViewSpec(36, 32, (0.5, 1.0), flip))[Draw(0, 9)] for flip in (0.0, 1.0)
    )
    assert torch.equal(always, never.flip(-1))
    assert not torch.equal(always, never)


def test_crops_keep_to_their_share_of_the_image(tmp_path):
    # Red runs from 0 to 255 over the width: a crop's range of red is its share of the width.
    ramp = np.zeros((256, 256, 3), np.uint8)
    ramp[..., 0] = np.arange(256)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    view = TrainingView([tmp_path / "ramp.png"], ViewSpec(36, 32, (0.25, 0.25), 0.5))
    for seed in range(20):
        red = view[Draw(0, seed)][0]
        # sqrt(0.25) of the side, times sqrt(3/4) to sqrt(4/3) for the shape of the crop.
        share = (int(red.max()) - int(red.min())) / 255
        assert 0.5 * 0.75**0.5 - 0.03 < share < 0.5 / 0.75**0.5 + 0.01


def test_normalize_by_hand():
    image = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    # (1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225
    expected = torch.tensor([2.2489083, -2.0357143, -0.9155556])
    assert torch.allclose(normalize(image).flatten(), expected, atol=1e-6)
    assert normalize(image).dtype == torch.float32


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("threads", [1, 4])
def test_batches_come_in_order_with_and_without_workers(paths, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    view = TrainingView(paths, SPEC)
    draws = [[Draw(2, 1), Draw(0, 2)], [Draw(1, 3)], [Draw(0, 4), Draw(1, 5)]]
    found = list(load_batches(view, draws))
    assert [len(batch) for batch in found] == [2, 1, 2]
    expected = torch.stack([view[draw] for batch in draws for draw in batch])
    assert torch.equal(torch.cat(found), expected)


def test_workers_follow_the_cores_up_to_a_cap():
    # A share of 3 cores decodes by itself; of 4 to 17, all but one; of a large node, sixteen.
    found = {threads: num_workers(threads) for threads in (1, 3, 4, 8, 17, 18, 192)}
    assert found == {1: 0, 3: 0, 4: 3, 8: 7, 17: 16, 18: 16, 192: 16}


def test_batches_are_taken_as_they_are_needed(paths):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield [Draw(0, len(taken))]

    loaded = load_batches(TrainingView(paths, SPEC), endless())
    assert [len(next(loaded)) for _ in range(3)] == [1, 1, 1]
    assert len(taken) <= 4


def failing_worker(view, batch_sampler, **_):
    # What torch does in a worker and then here; real workers cost 5 s once one has failed.
    try:
        return [view[key] for batch in batch_sampler for key in batch]
    except UserError:
        ExceptionWrapper(where="in DataLoader worker process 0").reraise()


@pytest.mark.parametrize("loader", [DataLoader, failing_worker])
def test_unreadable_image_is_one_sentence_with_and_without_workers(paths, loader, monkeypatch):
    monkeypatch.setattr(loading, "DataLoader", loader)
    paths[1].write_bytes(b"no image")
    with pytest.raises(UserError) as error:
        list(load_batches(EvaluationView(paths, SPEC), [[0, 1]]))
    assert str(error.value).startswith(f"image {paths[1]} cannot be read (")
    assert len(str(error.value).splitlines()) == 1
