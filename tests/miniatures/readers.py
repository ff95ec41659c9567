"""Miniatures read straight from the protocol page, and digits by eye, without project code."""

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy.io import loadmat
from scipy.ndimage import find_objects, label

from tcmbench.miniatures import make_miniature

DATASETS = ("cub", "cars196", "sop", "inat2018")
# The members of each archive, as the public ones name them.
PUBLIC = {
    "cub": {
        "CUB_200_2011.tgz": r"CUB_200_2011(/(images(/\d{3}\.[A-Z]\w+(/[A-Z]\w+_\d{4}_\d+\.jpg)?)?"
        r"|attributes|parts|README|(images|image_class_labels|classes)\.txt"
        r"|(train_test_split|bounding_boxes)\.txt))?"
    },
    "cars196": {"car_ims.tgz": r"car_ims(/\d{6}\.jpg)?", "cars_annos.mat": ""},
    "sop": {
        "Stanford_Online_Products.zip": r"Stanford_Online_Products/"
        r"([a-z_]+_final/(\d{12}_\d+\.JPG)?|(Ebay_(train|test|info)|[a-z_]+_final)\.txt"
        r"|README|LICENSE)?"
    },
    "inat2018": {
        "train_val2018.tar.gz": r"train_val2018(/[A-Z][a-z]+(/\d+(/[0-9a-f]{32}\.jpg)?)?)?",
        "train2018.json.tar.gz": r"train2018\.json",
        "val2018.json.tar.gz": r"val2018\.json",
        "inat_dataset_splits.zip": r"Inat_dataset_splits/(Inaturalist_(train|test)_set1\.txt)?",
    },
}


@cache
def packed(dataset):
    """Archive name -> bytes."""
    return make_miniature(dataset).archives


@cache
def opened(dataset):
    return OPENERS[dataset](packed(dataset))


@dataclass(frozen=True)
class Opened:
    """What a reader that follows the protocol page finds: class id -> image files, by split."""

    train: dict[int, list[bytes]]
    test: dict[int, list[bytes]]
    numbers: dict[int, str]

    def sizes(self):
        return [len(images) for half in (self.train, self.test) for images in half.values()]

    def images(self):
        halves = (self.train, self.test)
        return [jpeg for half in halves for images in half.values() for jpeg in images]


def open_tar(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}


def open_zip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def member_names(archive, content):
    if archive.endswith(".mat"):
        return []
    if archive.endswith(".zip"):
        return zipfile.ZipFile(io.BytesIO(content)).namelist()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getnames()


def rows(content):
    return [line.split(" ") for line in content.decode().splitlines()]


def split_by_class_id(images):
    """images: (class id, file); the first half of the class ids is for training."""
    middle = max(class_id for class_id, _ in images) // 2
    halves = {}, {}
    for class_id, jpeg in images:
        halves[class_id > middle].setdefault(class_id, []).append(jpeg)
    return halves


def open_cub(archives):
    files = open_tar(archives["CUB_200_2011.tgz"])
    table = {
        name: rows(files[f"CUB_200_2011/{name}.txt"])
        for name in ("images", "image_class_labels", "classes")
    }
    assert [row[0] for row in table["images"]] == [row[0] for row in table["image_class_labels"]]
    images = [
        (int(class_id), files[f"CUB_200_2011/images/{path}"])
        for (_, path), (_, class_id) in zip(
            table["images"], table["image_class_labels"], strict=True
        )
    ]
    numbers = {int(class_id): name.split("_")[-1] for class_id, name in table["classes"]}
    return Opened(*split_by_class_id(images), numbers)


def open_cars(archives):
    files = open_tar(archives["car_ims.tgz"])
    mat = loadmat(io.BytesIO(archives["cars_annos.mat"]))
    images = [
        (int(each["class"].item()), files[each["relative_im_path"].item()])
        for each in mat["annotations"][0]
    ]
    names = enumerate((cell.item() for cell in mat["class_names"][0]), start=1)
    return Opened(*split_by_class_id(images), {i: name.split(" ")[1] for i, name in names})


def open_sop(archives):
    files = open_zip(archives["Stanford_Online_Products.zip"])
    halves, numbers = ({}, {}), {}
    for half, name in zip(halves, ("train", "test"), strict=True):
        for _, class_id, _, path in rows(files[f"Stanford_Online_Products/Ebay_{name}.txt"])[1:]:
            half.setdefault(int(class_id), []).append(files[f"Stanford_Online_Products/{path}"])
            numbers[int(class_id)] = path.split("_")[-2][-3:]
    return Opened(*halves, numbers)


def open_inat(archives):
    files = open_tar(archives["train_val2018.tar.gz"])
    lists = open_zip(archives["inat_dataset_splits.zip"])
    numbers, class_of = {}, {}
    for name in ("train2018", "val2018"):
        content = json.loads(open_tar(archives[f"{name}.json.tar.gz"])[f"{name}.json"])
        numbers |= {each["id"]: each["name"].split(" ")[1] for each in content["categories"]}
        paths = {each["id"]: each["file_name"] for each in content["images"]}
        class_of |= {paths[a["image_id"]]: a["category_id"] for a in content["annotations"]}
    halves = {}, {}
    for half, name in zip(halves, ("train", "test"), strict=True):
        for (path,) in rows(lists[f"Inat_dataset_splits/Inaturalist_{name}_set1.txt"]):
            half.setdefault(class_of[path], []).append(files[path])
    return Opened(*halves, numbers)


OPENERS = {"cub": open_cub, "cars196": open_cars, "sop": open_sop, "inat2018": open_inat}


def read_box(levels, scan_side=8):
    """Cut the largest bright thing and shrink it to a scan; independent of how it was drawn."""
    parts, _ = label(levels > 0.5)
    largest = np.argmax(np.bincount(parts.ravel())[1:])
    rows_, columns = find_objects(parts)[largest]
    cut = Image.fromarray((levels[rows_, columns] * 255).astype(np.uint8))
    return np.asarray(cut.resize((scan_side, scan_side), Image.Resampling.BOX)).ravel() / 255


def enlarged(scan):
    image = Image.fromarray((scan * 255).astype(np.uint8))
    levels = np.asarray(image.resize((24, 32), Image.Resampling.BICUBIC)) / 255
    return read_box((levels * 1.5).clip(0, 1))
