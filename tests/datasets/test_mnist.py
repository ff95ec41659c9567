"""MNIST: files of idx, their flaws, the split of a closed world, and the miniature of it."""

import bz2
import gzip
import io
import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tcmbench import datasets
from tcmbench.archives import members
from tcmbench.archives.idx import read_labels
from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Split
from tcmbench.datasets.mnist import IMAGES, LABELS
from tcmbench.images.manifests import Item, read_manifest
from tcmbench.miniatures import write_miniature
from tcmbench.miniatures.scans import members as scans_of
from tcmbench.preparation.build import build

MNIST = datasets.load("mnist")
# Two images of two rows and three columns.
HEADER = bytes.fromhex("00000803 00000002 00000002 00000003")
PIXELS = bytes([0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255])


def packed(folder: Path, content: bytes, name: str = "a-idx3-ubyte.gz") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(gzip.compress(content))
    return folder / name


def pixels(png: bytes) -> list[list[int]]:
    return np.asarray(Image.open(io.BytesIO(png))).tolist()


def test_images_are_members(tmp_path: Path) -> None:
    first, second = members(packed(tmp_path, HEADER + PIXELS))
    assert [first.name, second.name] == ["a-idx3-ubyte/00000.png", "a-idx3-ubyte/00001.png"]
    assert first.size == len(first.read())
    assert pixels(first.read()) == [[0, 1, 2], [3, 4, 5]]
    assert pixels(second.read()) == [[250, 251, 252], [253, 254, 255]]


@pytest.mark.parametrize("name", ["a-idx3-ubyte (1).gz", "A-IDX3-UBYTE.GZ"])
@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_images_have_their_names_however_the_file_is_called_and_packed(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pack(HEADER + PIXELS))
    found = list(members(tmp_path / name))
    assert [member.name for member in found] == ["a-idx3-ubyte/00000.png", "a-idx3-ubyte/00001.png"]
    assert pixels(found[1].read()) == [[250, 251, 252], [253, 254, 255]]


def test_labels_are_values(tmp_path: Path) -> None:
    file = packed(tmp_path, bytes.fromhex("00000801 00000003 070009"))
    assert read_labels(file) == [7, 0, 9]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (HEADER + PIXELS[:-1], "is truncated or damaged (it ends too soon); delete it"),
        (HEADER[:7], "is truncated or damaged"),
        (HEADER + PIXELS + b"xy", "has 2 bytes more than its header declares"),
        (bytes.fromhex("00000801 00000003 070009"), "begins with the bytes 00 00 08 01, not with"),
        (bytes.fromhex("00000d03") + HEADER[4:] + PIXELS, "begins with the bytes 00 00 0d 03"),
        (struct.pack(">4I", 0x803, 2**31, 2**10, 2**10), "bytes, more than the"),
        (struct.pack(">4I", 0x803, 1, 1, 5000) + bytes(5000), "images of (1, 5000) pixels"),
        (struct.pack(">4I", 0x803, 1, 0, 3), "images of (0, 3) pixels"),
    ],
)
def test_a_flaw_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        list(members(packed(tmp_path, content)))
    assert sentence in str(caught.value)
    assert "a-idx3-ubyte.gz" in str(caught.value)


def test_damage_behind_the_last_image_is_seen(tmp_path: Path) -> None:
    file = packed(tmp_path, HEADER + PIXELS)
    whole = file.read_bytes()
    # The checksum stands in the last eight bytes.
    file.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(UserError, match="is truncated or damaged"):
        list(members(file))


def archives(folder: Path, digits: list[list[int]], images: int = 2) -> Path:
    for labels, names in zip(digits, zip(IMAGES, LABELS, strict=True), strict=True):
        header = struct.pack(">4I", 0x803, images, 1, 1)
        packed(folder, header + bytes(images), names[0])
        packed(folder, struct.pack(">2I", 0x801, len(labels)) + bytes(labels), names[1])
    return folder


def test_the_public_split_is_read(tmp_path: Path) -> None:
    split = MNIST.layout().read(archives(tmp_path, [[3, 5], [5, 3]]), MNIST.counts).split
    assert split.train == [
        Item("train-images-idx3-ubyte/00000.png", 3, "3"),
        Item("train-images-idx3-ubyte/00001.png", 5, "5"),
    ]
    assert [(item.path[-9:], item.label) for item in split.test] == [
        ("00000.png", 5),
        ("00001.png", 3),
    ]


def test_labels_of_more_images_than_there_are_are_refused(tmp_path: Path) -> None:
    folder = archives(tmp_path / "a", [[3, 5, 3], [5, 3]])
    with pytest.raises(UserError, match=r"names 1 images that are not in .*train-images"):
        build("mnist", folder, tmp_path / "b", count_check=False)


def test_a_label_that_is_no_digit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz names a digit 10; "):
        MNIST.layout().read(archives(tmp_path, [[3, 5], [5, 10]]), MNIST.counts)


def test_the_same_classes_in_both_halves_only_where_it_is_declared() -> None:
    def split(train: list[int], test: list[int]) -> Split:
        halves = (
            [Item(f"{name}{i}", i, "") for i in half] for name, half in (("a", train), ("b", test))
        )
        return Split(*halves)

    split([1, 2], [2, 1]).check(open_world=False)
    with pytest.raises(UserError, match="class 1 is in both the training and the test images"):
        split([1, 2], [2, 1]).check()
    with pytest.raises(UserError, match="class 3 is not in both the training and the test"):
        split([1, 2], [2, 1, 3]).check(open_world=False)
    assert [name for name in datasets.names() if not datasets.load(name).open_world] == ["mnist"]


def test_the_table_has_the_published_hashes() -> None:
    """Copied from torchvision datasets/mnist.py and tensorflow/datasets url_checksums/mnist.txt."""
    found = {
        archive.name.removesuffix("-ubyte.gz"): (archive.size, archive.md5[:6], archive.sha256[:6])
        for archive in MNIST.layout().archives
        if archive.md5 and archive.sha256
    }
    assert found == {
        "train-images-idx3": (9_912_422, "f68b3c", "440fca"),
        "t10k-images-idx3": (1_648_877, "9fb629", "8d422c"),
        "train-labels-idx1": (28_881, "d53e10", "355253"),
        "t10k-labels-idx1": (4_542, "ec2911", "f7ae60"),
    }
    assert all(len(archive.urls) == 3 for archive in MNIST.layout().archives)


def test_the_miniature_is_prepared_and_no_scan_is_in_both_halves(tmp_path: Path) -> None:
    write_miniature("mnist", tmp_path / "a")
    build("mnist", tmp_path / "a", tmp_path / "b", expect=tmp_path / "a/expected.json")
    counts = json.loads((tmp_path / "a/expected.json").read_text())["counts"]
    shown = {}
    for split in ("train", "test"):
        items = read_manifest(tmp_path / f"b/{split}.csv")
        assert len(items) == counts[f"{split}_images"] == len(scans_of(split))
        assert Counter(item.class_name for item in items).keys() == set("0123456789")
        shown[split] = {(tmp_path / "b" / item.path).read_bytes() for item in items}
    assert sum(counts.values()) == 1797 + 20
    assert not shown["train"] & shown["test"]
    # A scan of a 0 is empty in its middle, one of a 1 is not.
    middle = {
        digit: np.mean(
            [
                np.asarray(Image.open(tmp_path / "b" / item.path))[12:16, 12:16].mean()
                for item in read_manifest(tmp_path / "b/test.csv")
                if item.label == digit
            ]
        )
        for digit in (0, 1)
    }
    assert middle[0] < 60 < 150 < middle[1]
