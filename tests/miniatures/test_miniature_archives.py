import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter

import pytest
from scipy.io import loadmat

from tcmbench.common.errors import UserError
from tcmbench.miniatures import make_miniature
from tcmbench.miniatures.archive import tar_gz, zipped
from tests.miniatures.readers import (
    DATASETS,
    PUBLIC,
    member_names,
    open_tar,
    open_zip,
    opened,
    packed,
    rows,
)
from tests.paths import SRC

DOOR = SRC / "miniature.py"


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_image_is_listed_and_all_are_different(dataset):
    jpegs = [
        content
        for name, archive in packed(dataset).items()
        if name != "cars_annos.mat"
        for member, content in (open_zip if name.endswith(".zip") else open_tar)(archive).items()
        if member.lower().endswith(".jpg")
    ]
    assert sorted(jpegs) == sorted(opened(dataset).images())
    assert len(set(jpegs)) == len(jpegs)


@pytest.mark.parametrize("dataset", DATASETS)
def test_members_have_the_public_names(dataset):
    assert set(packed(dataset)) == set(PUBLIC[dataset])
    for archive, pattern in PUBLIC[dataset].items():
        for member in member_names(archive, packed(dataset)[archive]):
            assert re.fullmatch(pattern, member), member


def test_cub_lists():
    files = open_tar(packed("cub")["CUB_200_2011.tgz"])
    images = rows(files["CUB_200_2011/images.txt"])
    count = len(images)
    for name in ("image_class_labels", "train_test_split", "bounding_boxes", "images"):
        table = rows(files[f"CUB_200_2011/{name}.txt"])
        assert [row[0] for row in table] == [str(number) for number in range(1, count + 1)]
    flags = Counter(row[1] for row in rows(files["CUB_200_2011/train_test_split.txt"]))
    assert set(flags) == {"0", "1"}
    x, y, width, height = map(float, rows(files["CUB_200_2011/bounding_boxes.txt"])[0][1:])
    # 0.84 of 48 pixels is 40.32, in the middle of 60 x 48: from 9.84 and 3.84.
    assert (x, y, width, height) == (10.0, 4.0, 40.0, 40.0)
    classes = dict(rows(files["CUB_200_2011/classes.txt"]))
    labels = dict(rows(files["CUB_200_2011/image_class_labels.txt"]))
    assert all(path.split("/")[0] == classes[labels[number]] for number, path in images)


def test_cars_annotations():
    mat = loadmat(io.BytesIO(packed("cars196")["cars_annos.mat"]))
    annotations = mat["annotations"]
    assert annotations.dtype.names == (
        "relative_im_path",
        *("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"),
        "class",
        "test",
    )
    assert annotations.shape[0] == 1
    assert mat["class_names"].shape == (1, 98)
    first = annotations[0, 0]
    assert first["relative_im_path"].item() == "car_ims/000001.jpg"
    assert first["class"].shape == (1, 1)
    assert {int(each["test"].item()) for each in annotations[0]} == {0, 1}
    labels = [int(each["class"].item()) for each in annotations[0]]
    assert labels != sorted(labels)


def test_sop_lists():
    files = open_zip(packed("sop")["Stanford_Online_Products.zip"])
    train, test, info = (
        rows(files[f"Stanford_Online_Products/Ebay_{name}.txt"])
        for name in ("train", "test", "info")
    )
    header = ["image_id", "class_id", "super_class_id", "path"]
    assert train[0] == test[0] == info[0] == header
    assert info[1:] == train[1:] + test[1:]
    assert [int(row[0]) for row in info[1:]] == list(range(1, len(info)))
    assert {int(row[1]) for row in train[1:]} == set(range(1, 131))
    assert {int(row[1]) for row in test[1:]} == set(range(131, 261))
    folder_of = {(row[2], row[3].split("/")[0]) for row in info[1:]}
    assert len(folder_of) == len({number for number, _ in folder_of}) == 12
    assert train[1][1:3] == ["1", "1"]
    assert train[1][3].startswith("bicycle_final/")


def test_archives_do_not_depend_on_the_order_of_the_files_and_list_folders():
    files = {"a/b/c.txt": b"c", "a/d.txt": b"d", "a/e/": b""}
    reverse = dict(reversed(files.items()))
    assert tar_gz(files) == tar_gz(reverse)
    assert zipped(files) == zipped(reverse)
    with tarfile.open(fileobj=io.BytesIO(tar_gz(files))) as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/c.txt", "a/d.txt", "a/e"]
        assert [each.isdir() for each in tar] == [True, True, False, False, True]
    archive = zipfile.ZipFile(io.BytesIO(zipped(files)))
    assert archive.namelist() == ["a/", "a/b/", "a/b/c.txt", "a/d.txt", "a/e/"]
    assert archive.read("a/b/c.txt") == b"c"


def test_inat_trains_on_seven_tenths_of_each_supercategory():
    files = open_zip(packed("inat2018")["inat_dataset_splits.zip"])
    classes = {
        name: {tuple(path.split("/")[1:3]) for (path,) in rows(content)}
        for name, content in files.items()
    }
    train, test = (
        Counter(supercategory for supercategory, _ in classes[f"Inat_dataset_splits/{name}"])
        for name in ("Inaturalist_train_set1.txt", "Inaturalist_test_set1.txt")
    )
    assert len(train | test) == 14
    for supercategory, total in (train + test).items():
        assert train[supercategory] == total * 7 // 10


def test_inat_validation_list_has_three_images_of_each_class():
    archives = packed("inat2018")
    train, val = (
        json.loads(open_tar(archives[f"{name}.json.tar.gz"])[f"{name}.json"])
        for name in ("train2018", "val2018")
    )
    assert set(Counter(each["category_id"] for each in val["annotations"]).values()) == {3}
    ids = [each["id"] for each in train["images"] + val["images"]]
    assert ids == list(range(len(ids)))
    assert val["categories"] == train["categories"]
    assert set(val["categories"][0]) == {
        *("id", "name", "supercategory"),
        *("kingdom", "phylum", "class", "order", "family", "genus"),
    }


# --- the door


def door(*arguments):
    return subprocess.run(
        [sys.executable, str(DOOR), *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_another_process_writes_the_same_bytes_and_a_true_expected_json(dataset, tmp_path):
    result = door("--dataset", dataset, "--out", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {*PUBLIC[dataset], "expected.json"}
    written = {name: (tmp_path / name).read_bytes() for name in PUBLIC[dataset]}
    for name, content in written.items():
        assert content == packed(dataset)[name], name
    train, test = opened(dataset).train.values(), opened(dataset).test.values()
    assert json.loads((tmp_path / "expected.json").read_text()) == {
        "sha256": {name: hashlib.sha256(each).hexdigest() for name, each in written.items()},
        "counts": {
            "train_images": sum(map(len, train)),
            "train_classes": len(train),
            "test_images": sum(map(len, test)),
            "test_classes": len(test),
        },
    }


def test_another_seed_gives_other_images_and_another_dataset_other_numbers():
    assert make_miniature("cub", seed=1).archives != make_miniature("cub", seed=0).archives
    cub, cars = opened("cub").numbers, opened("cars196").numbers
    assert sum(cub[class_id] == cars[class_id] for class_id in cars) < 10


def test_an_unknown_dataset_is_one_sentence(tmp_path):
    result = door("--dataset", "cup", "--out", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == "error: there is no miniature of dataset 'cup'; did you mean 'cub'?\n"
    assert not list(tmp_path.iterdir())


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="the seed of a miniature is -1; choose 0 or"):
        make_miniature("cub", seed=-1)
