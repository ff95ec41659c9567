"""Cars196 from the devkit and from Kaggle; what is common to all layouts is in test_datasets.py."""

import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.datasets.labels import rows
from tcmbench.datasets.matlab import class_names, columns
from tcmbench.images.manifests import write_manifest
from tests.datasets.layouts import (
    CARS_FOLDERS,
    LAYOUTS,
    cars_annotations,
    cars_devkit,
    cars_kaggle,
    devkit_annotations,
    pack,
    text,
)

CARS = datasets.load("cars196")
KAGGLE = "stanford-car-dataset-by-classes-folder.zip"
DEVKIT = "car_devkit.tgz"
TESTED = "cars_test_annos_withlabels.mat"
MAKERS = {"images": LAYOUTS["cars196"], "devkit": cars_devkit, "kaggle": cars_kaggle}
HUMMER, ACURA, AUDI = "AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Audi S4 Sedan 2007"
RAM = "Ram C/V Cargo Van Minivan 2012"

# Worked out by hand from layouts.CARS_FOLDERS: classes 1 and 2 train, 3 and 4 test.
TRUTH = {
    "devkit": (
        {
            ("cars_train/00002.jpg", 1, HUMMER),
            ("cars_train/00005.jpg", 1, HUMMER),
            ("cars_test/00002.jpg", 1, HUMMER),
            ("cars_train/00004.jpg", 2, ACURA),
            ("cars_test/00003.jpg", 2, ACURA),
        },
        {
            ("cars_train/00001.jpg", 3, AUDI),
            ("cars_train/00003.jpg", 4, RAM),
            ("cars_test/00001.jpg", 4, RAM),
        },
    ),
    "kaggle": (
        {
            ("train/AM General Hummer SUV 2000/00002.jpg", 1, HUMMER),
            ("train/AM General Hummer SUV 2000/00005.jpg", 1, HUMMER),
            ("test/AM General Hummer SUV 2000/00002.jpg", 1, HUMMER),
            ("train/Acura RL Sedan 2012/00004.jpg", 2, ACURA),
            ("test/Acura RL Sedan 2012/00003.jpg", 2, ACURA),
        },
        {
            ("train/Audi S4 Sedan 2007/00001.jpg", 3, AUDI),
            ("train/Ram C-V Cargo Van Minivan 2012/00003.jpg", 4, RAM),
            ("test/Ram C-V Cargo Van Minivan 2012/00001.jpg", 4, RAM),
        },
    ),
}


def reading(layout, archives, tmp_path):
    folder = pack(tmp_path / "archives", archives)
    return CARS.layout(layout).read(folder, CARS.counts)


def rows_of(items):
    return {(item.path, item.label, item.class_name) for item in items}


def refused(layout, archives, tmp_path, message):
    with pytest.raises(UserError, match=message) as error:
        reading(layout, archives, tmp_path)
    assert "\n" not in str(error.value)
    assert "again" in str(error.value)


def test_the_layouts_and_their_order():
    assert list(CARS.layouts) == ["images", "devkit", "kaggle"]
    for name, layout in CARS.layouts.items():
        assert {archive.name for archive in layout.archives} == set(MAKERS[name]())


@pytest.mark.parametrize("layout", TRUTH)
def test_reader_gives_the_split_worked_out_by_hand(layout, tmp_path):
    split = reading(layout, MAKERS[layout](), tmp_path).split
    assert (rows_of(split.train), rows_of(split.test)) == TRUTH[layout]
    assert len(split.train) + len(split.test) == 8
    split.check()


@pytest.mark.parametrize("layout", TRUTH)
def test_each_image_is_sought_once_where_it_lies(layout, tmp_path):
    archives = MAKERS[layout]()
    parts = reading(layout, archives, tmp_path).images
    assert len({part.archive for part in parts}) == len(parts)
    sought = {(part.archive, part.root + path) for part in parts for path in part.paths}
    held = {
        (archive, member)
        for archive, members in archives.items()
        if not isinstance(members, bytes)
        for member in members
        if member.endswith(".jpg")
    }
    assert sought == held
    assert sum(len(part.paths) for part in parts) == len(held)
    listed = {path for half in TRUTH[layout] for path, _, _ in half}
    assert {path for part in parts for path in part.paths} == listed


@pytest.mark.parametrize("layout", MAKERS)
def test_the_manifest_is_the_same_for_every_order_of_members_and_rows(
    layout, tmp_path, monkeypatch
):
    def manifest(archives, name):
        split = reading(layout, archives, tmp_path / name).split
        for half, items in (("train", split.train), ("test", split.test)):
            write_manifest(tmp_path / f"{name}-{half}.csv", items)
        return [(tmp_path / f"{name}-{half}.csv").read_bytes() for half in ("train", "test")]

    first = manifest(MAKERS[layout](), "first")
    for seed in range(3):
        turned = {half: list(images) for half, images in CARS_FOLDERS.items()}
        dice = random.Random(seed)
        for images in turned.values():
            dice.shuffle(images)
        monkeypatch.setattr("tests.datasets.layouts.CARS_FOLDERS", turned)
        archives = MAKERS[layout]() if layout == "images" else MAKERS[layout](turned)
        for name, members in archives.items():
            if not isinstance(members, bytes):
                archives[name] = dict(dice.sample(list(members.items()), len(members)))
        assert manifest(archives, f"turned{seed}") == first


# Contradictions


@pytest.mark.parametrize("label", [0, 5, 196])
def test_a_class_out_of_range_is_named(label, tmp_path):
    message = rf"gives '00001\.jpg' the class {label}, .* classes 1 to 4 only"
    archives = cars_devkit()
    archives[TESTED] = devkit_annotations([(1, label), (2, 1), (3, 2)])
    refused("devkit", archives, tmp_path / "a", rf"{TESTED} {message}")
    archives = cars_devkit()
    archives[DEVKIT]["devkit/cars_train_annos.mat"] = devkit_annotations([(1, label)])
    refused("devkit", archives, tmp_path / "b", rf"cars_train_annos\.mat in \S*{DEVKIT} {message}")
    archives = cars_kaggle()
    archives[KAGGLE]["anno_test.csv"] = text(f"00001.jpg,1,2,3,4,{label}")
    refused("kaggle", archives, tmp_path / "c", rf"anno_test\.csv in \S*{KAGGLE} {message}")


@pytest.mark.parametrize(
    ("images", "numbers", "odd"),
    [
        ([(1, 4), (2, 1)], "2 and 3", "00003"),
        ([(1, 4), (2, 1), (3, 2), (4, 2)], "4 and 3", "00004"),
        ([(1, 4), (2, 1), (7, 2)], "3 and 3", "00003"),
    ],
)
def test_other_test_images_than_the_devkit_lists_are_named(images, numbers, odd, tmp_path):
    archives = cars_devkit() | {TESTED: devkit_annotations(images)}
    message = rf"{TESTED} and .* same test images \({numbers}, 'cars_test/{odd}\.jpg' is in one"
    refused("devkit", archives, tmp_path, message)


def test_annotations_without_classes_are_no_labels(tmp_path):
    archives = cars_devkit()
    archives[TESTED] = archives[DEVKIT]["devkit/cars_test_annos.mat"]
    refused("devkit", archives, tmp_path, f"{TESTED} is truncated or damaged, or is not the pub")


@pytest.mark.parametrize("member", ["cars_meta", "cars_train_annos", "cars_test_annos"])
def test_a_missing_member_of_the_devkit_is_named(member, tmp_path):
    archives = cars_devkit()
    del archives[DEVKIT][f"devkit/{member}.mat"]
    refused("devkit", archives, tmp_path, f"{DEVKIT} has no member 'devkit/{member}.mat'")


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        # A name that belongs to no folder, a name too few or too many before the others.
        ([HUMMER, ACURA, "Audi S5 2012", RAM], "1 images .* train/Audi S5 2012/00001"),
        ([HUMMER, ACURA, AUDI, "Ram C\\V Cargo"], "2 images .* train/Ram C.V Cargo/00003"),
        (["New 2013", HUMMER, ACURA, AUDI, RAM], "8 images .* train/Acura RL Sedan 2012/00001"),
    ],
)
def test_a_name_without_a_folder_is_named(names, missing, tmp_path):
    archives = cars_kaggle()
    archives[KAGGLE]["names.csv"] = text(*names)
    pattern = missing.replace("images .* ", "images that are not in the folder .*car_data/")
    refused("kaggle", archives, tmp_path, rf"anno_test\.csv list {pattern}\.jpg'")


def test_an_unknown_file_and_a_row_of_another_length_are_named(tmp_path):
    archives = cars_kaggle()
    archives[KAGGLE]["anno_test.csv"] += text("00009.jpg,1,2,3,4,1")
    message = r"list 1 images .* 'car_data/car_data/test/AM General Hummer SUV 2000/00009\.jpg'"
    refused("kaggle", archives, tmp_path / "a", message)
    for row in ("00001.jpg,1,2,3,4", "00001.jpg,1,2,3,4,1,0", "00001.jpg,1,2,3,4,one"):
        archives = cars_kaggle()
        archives[KAGGLE]["anno_train.csv"] = text("00002.jpg,1,2,3,4,1", row)
        refused("kaggle", archives, tmp_path / row, rf"anno_train\.csv .* line 2 is '{row}'")


def test_an_image_outside_the_folder_is_named(tmp_path):
    archives = MAKERS["images"]()
    archives["cars_annos.mat"] = cars_annotations([(1, 1), (2, 4)], folder="car_imx")
    refused(
        "images", archives, tmp_path, r"cars_annos\.mat lists 'car_imx/000001\.jpg', .* car_ims/"
    )


def test_marks_line_ends_and_empty_lines_do_not_matter(tmp_path):
    archives = cars_kaggle()
    for name in ("anno_train.csv", "anno_test.csv", "names.csv"):
        content = archives[KAGGLE][name].replace(b"\n", b"\r\n\r\n")
        archives[KAGGLE][name] = b"\xef\xbb\xbf" + content
    split = reading("kaggle", archives, tmp_path).split
    assert (rows_of(split.train), rows_of(split.test)) == TRUTH["kaggle"]


def test_fields_are_split_at_the_separator():
    assert list(rows("a b,1\n c ,2\n", "x", str, int, separator=",")) == [("a b", 1), ("c ", 2)]


# MATLAB files


WHOLE = cars_annotations([(1, 1), (2, 4)])


def tables(content):
    """All that a reader takes from the file."""
    fields = {"class": int, "relative_im_path": str}
    return class_names(content, "a.mat"), columns(content, "a.mat", fields)


def test_fields_are_found_by_name():
    names = {1: HUMMER, 2: ACURA, 3: AUDI, 4: "BMW M3 2012"}
    assert tables(WHOLE) == (names, [(1, "car_ims/000001.jpg"), (4, "car_ims/000002.jpg")])
    for field in ("fname", "annotations"):
        with pytest.raises(UserError, match=r"a\.mat is truncated or damaged, or is not the publ"):
            columns(WHOLE, "a.mat", {field: str})


def test_a_mat_file_that_is_not_compressed_is_read_too():
    stream = io.BytesIO()
    savemat(stream, {"class_names": np.array([["one", "two"]], object)}, do_compression=False)
    assert class_names(stream.getvalue(), "a.mat") == {1: "one", 2: "two"}


def test_a_mat_file_cut_anywhere_is_refused():
    for end in range(len(WHOLE)):
        with pytest.raises(UserError, match=r"a\.mat is truncated or damaged"):
            tables(WHOLE[:end])


def test_a_changed_bit_of_a_mat_file_is_noticed_or_changes_nothing():
    dice = random.Random(0)
    right, noticed = tables(WHOLE), 0
    for place in range(128, len(WHOLE)):
        broken = bytearray(WHOLE)
        broken[place] ^= 1 << dice.randrange(8)
        try:
            assert tables(bytes(broken)) == right
        except UserError as error:
            noticed += str(error).startswith("a.mat is truncated or damaged")
    # Deflate leaves a few bits unused.
    assert 0.98 < noticed / (len(WHOLE) - 128) <= 1


def test_damage_that_crashes_scipy_is_noticed_before(tmp_path):
    """In a large file scipy meets the damage before the checksum: a segmentation fault."""
    dice, stream = random.Random(0), io.BytesIO()
    names = np.array([[f"{dice.getrandbits(400):x}" for _ in range(4_000)]], object)
    savemat(stream, {"class_names": names}, do_compression=False)
    header, body = stream.getvalue()[:128], stream.getvalue()[128:]
    # The type of the second cell's first element.
    broken = bytearray(body)
    broken[112] ^= 255
    packed = zlib.compress(broken)[:-4] + struct.pack(">I", zlib.adler32(body))
    file = tmp_path / "a.mat"
    file.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    code = (
        "import sys; from pathlib import Path; from tcmbench.datasets.matlab import class_names; "
        "class_names(Path(sys.argv[1]).read_bytes(), 'a.mat')"
    )
    command = [sys.executable, "-c", code, str(file)]
    source = Path(datasets.__file__).parents[2]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 1
    assert "UserError: a.mat is truncated or damaged" in done.stderr


@pytest.mark.parametrize("layout", ["devkit", "kaggle"])
def test_no_mat_file_and_no_archive_are_named(layout, tmp_path):
    for name in MAKERS[layout]():
        if "tgz" in name and "devkit" not in name:
            continue
        archives = MAKERS[layout]() | {name: b"<html>Quota exceeded</html>" * 100}
        refused(layout, archives, tmp_path / name, f"{name} is a web page, not a")
