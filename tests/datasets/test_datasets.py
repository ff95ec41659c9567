import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Counts, Split
from tcmbench.datasets.labels import halves, rows
from tcmbench.images.manifests import Item
from tcmbench.preparation.unpack import unpack
from tests.datasets.layouts import LAYOUTS, TRUTH, cars_annotations, pack, text

NAMES = sorted(LAYOUTS)
CUB = "CUB_200_2011/"

# Images, classes of both halves, as published (protocol.md, section 5).
PUBLISHED = {
    "cub": Counts(5_864, 100, 5_924, 100),
    "cars196": Counts(8_054, 98, 8_131, 98),
    "sop": Counts(59_551, 11_318, 60_502, 11_316),
    "inat2018": Counts(325_846, 5_690, 136_093, 2_452),
}


def read(name, archives, tmp_path):
    return unpacked(name, pack(tmp_path / "archives", archives), tmp_path / "images")


def unpacked(name, archives, images):
    dataset = datasets.load(name)
    reading = dataset.layout().read(archives, dataset.counts)
    for part in reading.images:
        unpack(archives / part.archive, part.root, part.paths, images, part.source)
    return reading.split


def rows_of(items):
    return {(item.path, item.label, item.class_name) for item in items}


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# Readers


@pytest.mark.parametrize("name", NAMES)
def test_reader_gives_the_split_worked_out_by_hand(name, tmp_path):
    split = read(name, LAYOUTS[name](), tmp_path)
    assert (rows_of(split.train), rows_of(split.test)) == TRUTH[name]
    assert len(split.train) + len(split.test) == sum(map(len, TRUTH[name]))
    split.check()


@pytest.mark.parametrize("name", NAMES)
def test_reader_unpacks_the_listed_images_and_nothing_else(name, tmp_path):
    archives = LAYOUTS[name]()
    read(name, archives, tmp_path)
    listed = {path for half in TRUTH[name] for path, _, _ in half}
    assert files_below(tmp_path / "images") == listed
    members = archives[datasets.load(name).layout().archives[0].name]
    for path in listed:
        (content,) = (value for member, value in members.items() if member.endswith(f"/{path}"))
        assert (tmp_path / "images" / path).read_bytes() == content


def test_member_names_may_begin_with_a_dot(tmp_path):
    archives = LAYOUTS["cub"]()
    archives["CUB_200_2011.tgz"] = {f"./{k}": v for k, v in archives["CUB_200_2011.tgz"].items()}
    assert rows_of(read("cub", archives, tmp_path).test) == TRUTH["cub"][1]


def test_label_files_may_have_windows_line_ends_and_a_last_empty_line(tmp_path):
    archives = LAYOUTS["sop"]()
    members = archives["Stanford_Online_Products.zip"]
    for member in [m for m in members if "Ebay" in m]:
        members[member] = members[member].replace(b"\n", b"\r\n") + b"\r\n"
    assert rows_of(read("sop", archives, tmp_path).train) == TRUTH["sop"][0]


@pytest.mark.parametrize("header", ["", "\n", "# id class kind path\n"])
def test_lists_without_their_header_lose_no_image(header, tmp_path):
    archives = LAYOUTS["sop"]()
    members = archives["Stanford_Online_Products.zip"]
    for member in [m for m in members if "Ebay" in m]:
        _, _, rest = members[member].partition(b"\n")
        members[member] = header.encode() + rest
    split = read("sop", archives, tmp_path)
    assert rows_of(split.train) == TRUTH["sop"][0]
    assert rows_of(split.test) == TRUTH["sop"][1]


@pytest.mark.parametrize("line", [b"x 1 1 bicycle_final/a.JPG", b"1 1 bicycle_final/a.JPG"])
def test_a_first_line_that_is_a_damaged_image_is_no_header(line, tmp_path):
    archives = LAYOUTS["sop"]()
    members = archives["Stanford_Online_Products.zip"]
    member = "Stanford_Online_Products/Ebay_test.txt"
    _, _, rest = members[member].partition(b"\n")
    members[member] = line + b"\n" + rest
    with pytest.raises(UserError, match=rf"line 1 is '{line.decode()}'"):
        read("sop", archives, tmp_path)


def test_a_second_line_that_is_no_image_is_refused(tmp_path):
    archives = LAYOUTS["sop"]()
    members = archives["Stanford_Online_Products.zip"]
    member = "Stanford_Online_Products/Ebay_test.txt"
    first, _, rest = members[member].partition(b"\n")
    members[member] = first + b"\n" + first + b"\n" + rest
    with pytest.raises(UserError, match=r"Ebay_test\.txt in .* line 2 is 'image_id"):
        read("sop", archives, tmp_path)


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("classes", "2 Another_name", "the number 2 two values, '002.Laysan_Albatross' and 'Anoth"),
        ("images", "3 002.Laysan_Albatross/x.jpg", "gives the number 3 two values, '00.*' and"),
        ("image_class_labels", "3 6", "gives the number 3 two values, '.' and '6'"),
    ],
)
def test_two_values_of_one_number_are_refused(table, line, message, tmp_path):
    archives = LAYOUTS["cub"]()
    archives["CUB_200_2011.tgz"][f"{CUB}{table}.txt"] += f"{line}\n".encode()
    with pytest.raises(UserError, match=rf"{table}\.txt in .*{message}"):
        read("cub", archives, tmp_path)


@pytest.mark.parametrize("key", ["categories", "annotations", "images"])
def test_two_values_of_one_key_of_the_annotations_are_refused(key, tmp_path):
    archives = LAYOUTS["inat2018"]()
    members = archives["train2018.json.tar.gz"]
    content = json.loads(members["train2018.json"])
    other = {
        "categories": {"name": "x"},
        "annotations": {"category_id": 19},
        "images": {"file_name": "y"},
    }
    content[key].append(content[key][0] | other[key])
    members["train2018.json"] = json.dumps(content).encode()
    with pytest.raises(UserError, match=r"train2018\.json in .* is both"):
        read("inat2018", archives, tmp_path)


def test_a_class_of_two_names_is_refused(tmp_path):
    archives = LAYOUTS["sop"]()
    members = archives["Stanford_Online_Products.zip"]
    member = "Stanford_Online_Products/Ebay_train.txt"
    members[member] = (
        members[member]
        .replace(b"111085122871_1", b"x/y")
        .replace(b"bicycle_final/x", b"sofa_final/x")
    )
    layout = datasets.load("sop").layout()
    folder = pack(tmp_path, archives)
    split = layout.read(folder, datasets.load("sop").counts).split
    with pytest.raises(UserError, match="class 1 has two names, 'bicycle 1' and 'sofa 1'"):
        split.check()


def test_a_class_without_images_still_counts_for_the_middle(tmp_path):
    archives = LAYOUTS["cub"]()
    members = archives["CUB_200_2011.tgz"]
    for table in ("images", "image_class_labels"):
        lines = members[f"{CUB}{table}.txt"].decode().splitlines()
        members[f"{CUB}{table}.txt"] = text(*lines[:6])
    # Images of the classes 1 to 4 remain, of 6 classes in classes.txt.
    split = read("cub", archives, tmp_path)
    assert {item.label for item in split.train} == {1, 2, 3}
    assert {item.label for item in split.test} == {4}


@pytest.mark.parametrize(
    ("name", "image", "source"),
    [
        (
            "cub",
            "CUB_200_2011/images/002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg",
            "images.txt",
        ),
        ("cars196", "car_ims/000005.jpg", "cars_annos.mat"),
        ("sop", "Stanford_Online_Products/chair_final/400668651171_0.JPG", "Ebay_test.txt"),
        ("inat2018", f"train_val2018/Aves/3077/{4:032x}.jpg", "inat_dataset_splits.zip"),
    ],
)
def test_an_image_that_is_listed_but_absent_is_named(name, image, source, tmp_path):
    archives = LAYOUTS[name]()
    archive = datasets.load(name).layout().archives[0].name
    del archives[archive][image]
    with pytest.raises(UserError) as error:
        read(name, archives, tmp_path)
    message = str(error.value)
    assert source in message
    assert f"names 1 images that are not in {tmp_path / 'archives' / archive}" in message
    assert f"the first is '{image}'" in message


@pytest.mark.parametrize(
    ("name", "archive", "member"),
    [
        ("cub", "CUB_200_2011.tgz", "CUB_200_2011/classes.txt"),
        ("sop", "Stanford_Online_Products.zip", "Stanford_Online_Products/Ebay_test.txt"),
        ("inat2018", "val2018.json.tar.gz", "val2018.json"),
        ("inat2018", "inat_dataset_splits.zip", "Inat_dataset_splits/Inaturalist_train_set1.txt"),
    ],
)
def test_a_missing_label_member_is_named(name, archive, member, tmp_path):
    archives = LAYOUTS[name]()
    del archives[archive][member]
    # The folder inside the archive of the split lists is not known for sure.
    sought = member.rpartition("/")[2] if archive == "inat_dataset_splits.zip" else member
    with pytest.raises(UserError, match=f"{archive} has no member '{re.escape(sought)}'"):
        read(name, archives, tmp_path)


def test_cub_refuses_labels_that_do_not_fit_the_images(tmp_path):
    archives = LAYOUTS["cub"]()
    members = archives["CUB_200_2011.tgz"]
    lines = members[f"{CUB}image_class_labels.txt"].decode().splitlines()
    members[f"{CUB}image_class_labels.txt"] = text(*lines[:-1])
    with pytest.raises(UserError, match=r"do not fit together \(10 images, 9 labels, 0 unknown"):
        read("cub", archives, tmp_path)
    members[f"{CUB}image_class_labels.txt"] = text(*lines[:-1], "10 77")
    with pytest.raises(UserError, match=r"10 labels, 1 unknown classes"):
        read("cub", archives, tmp_path)


@pytest.mark.parametrize("label", [0, 5])
def test_cars_refuses_a_class_without_a_name(label, tmp_path):
    archives = LAYOUTS["cars196"]() | {"cars_annos.mat": cars_annotations([(1, 1), (2, label)])}
    message = rf"cars_annos\.mat gives 'car_ims/000002\.jpg' the class {label}, .* 1 to 4 only"
    with pytest.raises(UserError, match=message):
        read("cars196", archives, tmp_path)


@pytest.mark.parametrize("keep", [0, 60, 200, -40])
def test_cars_refuses_a_truncated_label_file(keep, tmp_path):
    archives = LAYOUTS["cars196"]()
    archives["cars_annos.mat"] = archives["cars_annos.mat"][:keep]
    with pytest.raises(UserError, match=r"cars_annos\.mat is truncated or damaged"):
        read("cars196", archives, tmp_path)


def test_inat_refuses_a_listed_image_without_a_class(tmp_path):
    archives = LAYOUTS["inat2018"]()
    member = "Inat_dataset_splits/Inaturalist_test_set1.txt"
    archives["inat_dataset_splits.zip"][member] += b"train_val2018/Aves/3077/none.jpg\n"
    message = (
        r"'train_val2018/Aves/3077/none\.jpg' of .*splits\.zip has no class in train2018\.json"
    )
    with pytest.raises(UserError, match=message):
        read("inat2018", archives, tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"images": []}', b'{"images": [{"id": 1}]}'])
def test_inat_refuses_another_json(content, tmp_path):
    archives = LAYOUTS["inat2018"]()
    archives["train2018.json.tar.gz"]["train2018.json"] = content
    with pytest.raises(UserError, match=r"train2018\.json in .* is not the published file"):
        read("inat2018", archives, tmp_path)


# The split


def item(label, path):
    return Item(path, label, f"class {label}")


def test_halves_go_by_sorted_id_and_the_odd_class_is_for_testing():
    items = [item(label, f"{label}.jpg") for label in (30, 2, 7, 100, 1)]
    split = halves(items, [30, 2, 7, 100, 1])
    assert [i.label for i in split.train] == [2, 1]
    assert [i.label for i in split.test] == [30, 7, 100]


def test_halves_of_the_published_numbers_of_classes():
    for total, last in ((200, 100), (196, 98)):
        split = halves([item(i, f"{i}") for i in range(1, total + 1)], range(1, total + 1))
        assert [i.label for i in split.train] == list(range(1, last + 1))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([], [item(1, "a")], "list no training image"),
        ([item(1, "a")], [], "list no test image"),
        (
            [item(1, "a"), item(3, "b")],
            [item(3, "c"), item(1, "d")],
            r"class 1 is in both .*\(2 such",
        ),
        ([item(1, "a"), item(1, "a")], [item(2, "b")], "list 'a' twice"),
        ([item(1, "a")], [item(2, "a")], "list 'a' twice"),
    ],
)
def test_a_split_that_is_not_open_world_is_refused(train, test, message):
    with pytest.raises(UserError, match=message):
        Split(train, test).check()


def test_label_lines_of_another_shape_are_named():
    assert list(rows("# head\n7 a b\n\n 8 c \n", "x", int, str, header=1)) == [(7, "a b"), (8, "c")]
    for bad in ("7", "x a"):
        with pytest.raises(UserError, match=f"images.txt line 2 is '{bad}'"):
            list(rows(f"1 a\n{bad}\n", "images.txt", int, str))


# The tables


def test_a_dataset_is_known_by_its_file_name():
    assert datasets.names() == sorted([*NAMES, "mnist"])
    with pytest.raises(UserError, match="there is no dataset 'cars'; did you mean 'cars196'"):
        datasets.load("cars")
    for helper in ("base", "archives", "../cub", "", "cub.DATASET"):
        with pytest.raises(UserError, match="there is no dataset"):
            datasets.load(helper)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_a_dataset_is_well_formed(name):
    dataset = datasets.load(name)
    assert dataset.counts == PUBLISHED[name]
    assert dataset.title
    assert dataset.licence
    assert dataset.licence_url.startswith("https://")
    files = [archive.name for archive in dataset.layout().archives]
    assert sorted(files) == sorted(set(files)) == sorted(LAYOUTS[name]())
    assert dataset.unpacked_bytes > sum(archive.size or 0 for archive in dataset.layout().archives)
    for archive in dataset.layout().archives:
        assert archive.urls
        assert all(url.startswith(("https://", "http://", "ftp://")) for url in archive.urls)
        assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert archive.md5 is None or re.fullmatch("[0-9a-f]{32}", archive.md5)
        # The one file for which nobody has published a hash.
        assert archive.sha256 or archive.md5 or archive.name == "inat_dataset_splits.zip"


def test_the_room_is_light_to_enter():
    heavy = "{'torch', 'numpy', 'scipy', 'PIL', 'pandas'}"
    code = (
        "import sys; from tcmbench import datasets; datasets.names(); "
        f"assert not {heavy} & set(sys.modules)"
    )
    source = Path(datasets.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=source)
