"""iNaturalist 2018: the lists in whatever folder, and the split by rule where there are none."""

import itertools
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Counts, Split
from tcmbench.datasets.inat_rule import ORDERS, choose, training_classes
from tcmbench.images.manifests import write_manifest
from tests.datasets.layouts import LAYOUTS, TRUTH, pack

INAT = datasets.load("inat2018")
SPLITS = "inat_dataset_splits.zip"
LISTS = [f"Inaturalist_{half}_set1.txt" for half in ("train", "test")]
NUMERIC, LEXICOGRAPHIC = ORDERS.values()

# Two groups of four classes: in numeric order 2, 3 | 10, 11 and 1, 4 | 5, 20 (floor(0.7 * 4) = 2);
# as text 10, 11 | 2, 3 and 1, 20 | 4, 5. Each class has as many images as its id says.
GROUPS = {2: "Aves", 3: "Aves", 10: "Aves", 11: "Aves"} | dict.fromkeys((1, 4, 5, 20), "Fungi")
BY_NUMBER = Counts(2 + 3 + 1 + 4, 4, 10 + 11 + 5 + 20, 4)
BY_TEXT = Counts(10 + 11 + 1 + 20, 4, 2 + 3 + 4 + 5, 4)


def images(sizes=None):
    return [label for label in GROUPS for _ in range((sizes or {}).get(label, label))]


def member(name, groups, labels, extra=None):
    """One annotation file; image files are named by what numbers them through."""
    content = {
        "images": [
            {"id": i, "file_name": f"train_val2018/{groups[label]}/{label}/{name}{i}.jpg"}
            for i, label in enumerate(labels)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": label} for i, label in enumerate(labels)
        ],
        "categories": [
            {"id": label, "name": f"name of {label}", "supercategory": group}
            for label, group in groups.items()
        ],
    }
    return json.dumps(content | (extra or {})).encode()


def annotations(labels, **more):
    """The last three images are in the file of validation."""
    return {
        "train2018.json.tar.gz": {"train2018.json": member("t", GROUPS, labels[:-3], **more)},
        "val2018.json.tar.gz": {"val2018.json": member("v", GROUPS, labels[-3:], **more)},
    }


def by_rule(archives, tmp_path, counts):
    return INAT.layout("rule").read(pack(tmp_path / "archives", archives), counts)


def by_lists(archives, tmp_path):
    return INAT.layout("lists").read(pack(tmp_path / "archives", archives), INAT.counts)


def rows_of(items):
    return {(item.path, item.label, item.class_name) for item in items}


# The rule


def test_the_layouts_and_their_order():
    assert list(INAT.layouts) == ["lists", "rule"]
    files = [{archive.name for archive in layout.archives} for layout in INAT.layouts.values()]
    assert files[0] == set(LAYOUTS["inat2018"]())
    assert files[1] == files[0] - {SPLITS}


def test_training_has_the_first_seven_tenths_of_each_group_rounded_down():
    assert training_classes(GROUPS, NUMERIC) == {2, 3, 1, 4}
    assert training_classes(GROUPS, LEXICOGRAPHIC) == {10, 11, 1, 20}
    for n, first in ((1, 0), (2, 1), (3, 2), (10, 7), (20, 14), (100, 70), (2917, 2041)):
        assert training_classes(dict.fromkeys(range(n), "Aves"), NUMERIC) == set(range(first))


@given(st.dictionaries(st.integers(0, 200), st.sampled_from("abc"), min_size=1, max_size=40))
def test_training_classes_against_a_slow_reference(groups):
    for order in (NUMERIC, LEXICOGRAPHIC):
        expected = set()
        for group in set(groups.values()):
            own = [label for label in groups if groups[label] == group]
            for label in own:
                before = sum(order(other) < order(label) for other in own)
                if 10 * (before + 1) <= 7 * len(own):
                    expected.add(label)
        assert training_classes(groups, order) == expected


@pytest.mark.parametrize(
    ("name", "counts", "training"),
    [("numeric", BY_NUMBER, {1, 2, 3, 4}), ("lexicographic", BY_TEXT, {1, 10, 11, 20})],
)
def test_the_rule_with_the_expected_counts_is_used_and_named(name, counts, training, tmp_path):
    reading = by_rule(annotations(images()), tmp_path, counts)
    assert reading.split.counts() == counts
    assert {item.label for item in reading.split.train} == training
    assert {item.label for item in reading.split.test} == set(GROUPS) - training
    reading.split.check()
    assert re.findall(r"(\w+) order", reading.note) == [name]


def test_all_images_of_both_files_are_used(tmp_path):
    labels = images()
    reading = by_rule(annotations(labels), tmp_path, BY_NUMBER)
    (part,) = reading.images
    assert (part.archive, part.root) == ("train_val2018.tar.gz", "train_val2018/")
    assert part.source == "train2018.json and val2018.json"
    paths = {f"{GROUPS[label]}/{label}/t{i}.jpg" for i, label in enumerate(labels[:-3])}
    paths |= {f"{GROUPS[label]}/{label}/v{i}.jpg" for i, label in enumerate(labels[-3:])}
    assert set(part.paths) == paths
    assert len(part.paths) == len(labels) == len(paths)
    row = ("Aves/2/t0.jpg", 2, "name of 2")
    assert row in rows_of(reading.split.train)


@pytest.mark.parametrize("label", sorted(GROUPS))
@pytest.mark.parametrize("change", [-1, 1])
def test_one_image_more_or_fewer_is_refused(label, change, tmp_path):
    archives = annotations(images({label: label + change}))
    with pytest.raises(UserError, match="neither rule gives the published counts") as error:
        by_rule(archives, tmp_path, BY_NUMBER)
    half, right = ("train", 10) if label < 5 else ("test", 46)
    message = str(error.value)
    assert f"numeric: {right + change} {half} images instead of {right}" in message
    assert "lexicographic: " in message
    assert message.endswith("get inat_dataset_splits.zip")
    assert "\n" not in message


def test_a_class_more_is_refused():
    groups = GROUPS | {30: "Aves"}
    with pytest.raises(UserError, match=r"numeric: 20 train images instead of 10, 5 train classes"):
        choose(groups, [*images()], BY_NUMBER)


def test_a_class_without_images_is_in_its_group_but_is_not_counted():
    groups = GROUPS | {30: "Fungi"}
    # Of 5 classes of Fungi 3 are for training: 1, 4, 5.
    training, _ = choose(groups, images(), Counts(15, 5, 41, 3))
    assert training == {1, 2, 3, 4, 5}


def test_two_rules_with_the_same_counts_and_other_classes_are_refused(tmp_path):
    labels = images(dict.fromkeys(GROUPS, 2))
    with pytest.raises(UserError, match=r"both give .* \(numeric and lexicographic\); get inat"):
        by_rule(annotations(labels), tmp_path, Counts(8, 4, 8, 4))


def test_two_rules_with_the_same_classes_are_one():
    groups = dict.fromkeys((1, 2, 3, 4), "Aves")
    training, note = choose(groups, [1, 2, 2, 3, 4], Counts(3, 2, 2, 2))
    assert training == {1, 2}
    assert "in numeric and in lexicographic order" in note


def test_the_published_numbers_of_classes_follow_from_the_rule():
    # Classes by supercategory: visipedia/inat_comp 2018/README.md.
    numbers = [2917, 2031, 1258, 369, 321, 284, 262, 234, 178, 144, 114, 25, 4, 1]
    groups = dict(enumerate(g for g, n in enumerate(numbers) for _ in range(n)))
    for order in (NUMERIC, LEXICOGRAPHIC):
        training = training_classes({label: str(group) for label, group in groups.items()}, order)
        assert (len(training), len(groups) - len(training)) == (5_690, 2_452)


# The lists


@pytest.mark.parametrize("folder", ["", "Inat_dataset_splits/", "a/b c/", "./x/"])
def test_the_lists_may_lie_in_any_folder(folder, tmp_path):
    archives = LAYOUTS["inat2018"]()
    members = archives[SPLITS]
    moved = {folder + name.rpartition("/")[2]: content for name, content in members.items()}
    # As archives made on a Mac have them.
    moved |= {f"__MACOSX/{folder}._{name}": b"\x00\x05\x16\x07" for name in LISTS}
    archives[SPLITS] = moved
    split = by_lists(archives, tmp_path).split
    assert (rows_of(split.train), rows_of(split.test)) == TRUTH["inat2018"]


@pytest.mark.parametrize("name", LISTS)
def test_two_lists_of_one_name_are_refused(name, tmp_path):
    archives = LAYOUTS["inat2018"]()
    archives[SPLITS][f"old/{name}"] = b""
    message = rf"holds 2 files of the name '{name}' \(Inat_dataset_splits/{name}, old/{name}\)"
    with pytest.raises(UserError, match=message):
        by_lists(archives, tmp_path)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_another_name_is_none(name, tmp_path):
    archives = LAYOUTS["inat2018"]()
    archives[SPLITS][f"x/not_{name}"] = archives[SPLITS].pop(f"Inat_dataset_splits/{name}")
    with pytest.raises(UserError, match=rf"{SPLITS} has no member '{name}'"):
        by_lists(archives, tmp_path)


def test_the_lists_need_no_note(tmp_path):
    assert by_lists(LAYOUTS["inat2018"](), tmp_path).note is None


# Robustness


def test_marks_line_ends_and_empty_lines_do_not_matter(tmp_path):
    archives = LAYOUTS["inat2018"]()
    for members in (members for name, members in archives.items() if "train_val" not in name):
        for name, content in members.items():
            ends = content.replace(b"\n", b"\r\n  \r\n") + b"\r\n"
            members[name] = b"\xef\xbb\xbf" + ends
    split = by_lists(archives, tmp_path).split
    assert (rows_of(split.train), rows_of(split.test)) == TRUTH["inat2018"]


def test_more_keys_do_not_matter(tmp_path):
    extra = {"info": {"year": 2018}, "licenses": [], "unheard of": {"images": 3}}
    reading = by_rule(annotations(images(), extra=extra), tmp_path, BY_NUMBER)
    assert reading.split.counts() == BY_NUMBER


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_record_of_another_shape_is_named(key, tmp_path):
    for record in (None, 7, {}, [], "x"):
        content = json.loads(member("v", GROUPS, images()[-3:]))
        content[key].append(record)
        archives = annotations(images())
        archives["val2018.json.tar.gz"]["val2018.json"] = json.dumps(content).encode()
        with pytest.raises(UserError, match=r"val2018\.json in .* is not the published file"):
            by_rule(archives, tmp_path, BY_NUMBER)


def test_an_image_of_a_class_without_a_name_is_named(tmp_path):
    archives = annotations(images())
    for members in archives.values():
        for name, content in members.items():
            table = json.loads(content)
            table["categories"] = [c for c in table["categories"] if c["id"] != 20]
            members[name] = json.dumps(table).encode()
    # Of three Fungi two are for training, as of four: the counts are right nevertheless.
    with pytest.raises(UserError, match=r"'train_val2018/Fungi/20/\w+\.jpg' of .* no class"):
        by_rule(archives, tmp_path, BY_NUMBER)


# Order


@pytest.mark.parametrize("layout", ["lists", "rule"])
def test_the_manifest_is_the_same_for_every_order(layout, tmp_path):
    def manifests(archives, name):
        folder = pack(tmp_path / name, archives)
        split: Split = INAT.layout(layout).read(folder, BY_NUMBER).split
        for half, items in (("train", split.train), ("test", split.test)):
            write_manifest(folder / f"{half}.csv", items)
        return [(folder / f"{half}.csv").read_bytes() for half in ("train", "test")]

    def lists(order):
        labelled = [*zip(itertools.count(), images()[:-3], "t" * 99, strict=False)]
        labelled += [*zip(itertools.count(), images()[-3:], "vvv", strict=False)]
        paths = [f"train_val2018/{GROUPS[c]}/{c}/{name}{i}.jpg\n" for i, c, name in labelled]
        halves = [p for p in paths if int(p.split("/")[2]) < 5], paths
        train, test = halves[0], [p for p in halves[1] if p not in halves[0]]
        return {
            f"x/{name}": "".join(order(rows)).encode()
            for name, rows in order(list(zip(LISTS, (train, test), strict=True)))
        }

    first = None
    for seed in range(3):
        dice = random.Random(seed)
        archives = annotations(images())
        for members in archives.values():
            for name, content in list(members.items()):
                table = json.loads(content)
                for records in (table["images"], table["annotations"], table["categories"]):
                    dice.shuffle(records)
                members |= {"another.json": b"{}", name: json.dumps(table).encode()}
        archives[SPLITS] = lists(lambda rows, dice=dice: dice.sample(rows, len(rows)))
        found = manifests(archives, f"{layout}{seed}")
        first = first or found
        assert found == first
        assert b"Fungi/4/" in found[0]
        assert b"Fungi/5/" in found[1]
