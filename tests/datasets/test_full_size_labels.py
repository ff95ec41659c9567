"""The label files of the four datasets at their published size, in every layout.

The files are made here, in the published layouts, with class sizes drawn so that the counts are
the published ones; images are not needed, since readers read labels only.
"""

import io
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Counts
from tcmbench.datasets.inat_rule import choose
from tests.datasets.layouts import cars_annotations, cars_devkit, cars_kaggle, pack, text

Sizes = dict[int, int]

# Protocol: seconds and bytes that reading the largest labels, of iNaturalist, may take here.
SECONDS, MEMORY = 60, 2_500_000_000


def spread(total: int, classes: range | list[int], low: int, high: int) -> Sizes:
    """Draw a size from low to high for each class so that they sum up to `total`."""
    dice = random.Random(total)
    sizes = dict.fromkeys(classes, low)
    room = dict.fromkeys(classes, high - low)
    open_classes = [label for label in classes if high > low]
    for _ in range(total - low * len(sizes)):
        place = dice.randrange(len(open_classes))
        label = open_classes[place]
        sizes[label] += 1
        room[label] -= 1
        if not room[label]:
            open_classes[place] = open_classes[-1]
            open_classes.pop()
    assert sum(sizes.values()) == total
    return sizes


def shuffled(sizes: Sizes) -> list[int]:
    labels = [label for label, n in sizes.items() for _ in range(n)]
    random.Random(1).shuffle(labels)
    return labels


# Class sizes between the published least and most (protocol, section 5).
CUB = spread(5_864, range(1, 101), 41, 60) | spread(5_924, range(101, 201), 49, 60)
CARS = spread(8_054, range(1, 99), 59, 97) | spread(8_131, range(99, 197), 48, 136)
SOP = spread(59_551, range(1, 11_319), 2, 12) | spread(60_502, range(11_319, 22_635), 2, 12)
MODELS = [f"Make{i} Model 2012" if i != 174 else "Ram C/V Cargo Van 2012" for i in range(1, 197)]


def cub(sizes: Sizes):
    folders = {label: f"{label:03}.Some_Bird_{label}" for label in sizes}
    # As in the published files, images come by class.
    labels = [label for label, n in sizes.items() for _ in range(n)]
    images = (f"{i} {folders[c]}/Some_Bird_{i:04}_{i * 7}.jpg" for i, c in enumerate(labels, 1))
    tables = {
        "images": images,
        "image_class_labels": (f"{i} {label}" for i, label in enumerate(labels, 1)),
        "classes": (f"{label} {folder}" for label, folder in folders.items()),
    }
    return {"CUB_200_2011.tgz": {f"CUB_200_2011/{n}.txt": text(*t) for n, t in tables.items()}}


def cars_images(sizes: Sizes):
    return {"cars_annos.mat": cars_annotations([*enumerate(shuffled(sizes), 1)], MODELS)}


def folders(sizes: Sizes):
    labels = shuffled(sizes)
    return {"train": [*enumerate(labels[:8_144], 1)], "test": [*enumerate(labels[8_144:], 1)]}


def sop(sizes: Sizes):
    labels = [label for label, n in sizes.items() for _ in range(n)]
    halves = {"train": [], "test": []}
    for i, c in enumerate(labels, 1):
        row = f"{i} {c} {c % 12 + 1} kind{c % 12}_final/{10**11 + c}_{i}.JPG"
        halves["train" if c < 11_319 else "test"].append(row)
    header = "image_id class_id super_class_id path"
    root = "Stanford_Online_Products/"
    return {
        "Stanford_Online_Products.zip": {
            f"{root}Ebay_{half}.txt": text(header, *rows) for half, rows in halves.items()
        }
    }


SMALL = {
    ("cub", "official"): (cub, CUB),
    ("cars196", "images"): (cars_images, CARS),
    ("cars196", "devkit"): (lambda sizes: cars_devkit(folders(sizes), MODELS), CARS),
    ("cars196", "kaggle"): (lambda sizes: cars_kaggle(folders(sizes), MODELS), CARS),
    ("sop", "official"): (sop, SOP),
}


def read(name, layout, folder):
    dataset = datasets.load(name)
    return dataset.layout(layout).read(folder, dataset.counts)


def assert_published(name, reading):
    split = reading.split
    assert split.counts() == datasets.load(name).counts
    assert split.counts().differences(datasets.load(name).counts) == []
    assert not {item.label for item in split.train} & {item.label for item in split.test}
    paths = {item.path for half in (split.train, split.test) for item in half}
    assert len(paths) == len(split.train) + len(split.test)
    assert paths == {path for part in reading.images for path in part.paths}
    split.check()


@pytest.mark.parametrize(("name", "layout"), SMALL)
def test_labels_of_published_size_give_the_published_counts(name, layout, tmp_path):
    make, sizes = SMALL[name, layout]
    reading = read(name, layout, pack(tmp_path, make(sizes)))
    assert_published(name, reading)
    found: Sizes = {}
    for item in (*reading.split.train, *reading.split.test):
        found[item.label] = found.get(item.label, 0) + 1
    assert found == sizes
    # Published class ids run on from training to testing.
    last = len({item.label for item in reading.split.train})
    assert {item.label for item in reading.split.train} == set(range(1, last + 1))


# Without the MATLAB files, which take seconds to make.
@pytest.mark.parametrize(
    ("name", "layout"), [("cub", "official"), ("cars196", "kaggle"), ("sop", "official")]
)
def test_one_training_image_fewer_and_one_test_image_more_are_noticed(name, layout, tmp_path):
    make, sizes = SMALL[name, layout]
    first, last = min(sizes), max(sizes)
    other = sizes | {first: sizes[first] - 1, last: sizes[last] + 1}
    split = read(name, layout, pack(tmp_path, make(other))).split
    right = datasets.load(name).counts
    assert split.counts().differences(right) == [
        f"{right.train_images - 1:,} train images instead of {right.train_images:,}",
        f"{right.test_images + 1:,} test images instead of {right.test_images:,}",
    ]


# iNaturalist 2018: classes, training and validation images by supercategory, as stated in
# visipedia/inat_comp 2018/README.md.
TREE = {
    "Plantae": (2_917, 118_800, 8_751),
    "Insecta": (2_031, 87_192, 6_093),
    "Aves": (1_258, 143_950, 3_774),
    "Actinopterygii": (369, 7_835, 1_107),
    "Fungi": (321, 6_864, 963),
    "Reptilia": (284, 22_754, 852),
    "Mollusca": (262, 8_007, 786),
    "Mammalia": (234, 20_104, 702),
    "Animalia": (178, 5_966, 534),
    "Amphibia": (144, 11_156, 432),
    "Arachnida": (114, 4_037, 342),
    "Chromista": (25, 621, 75),
    "Protozoa": (4, 211, 12),
    "Bacteria": (1, 16, 3),
}
INAT = datasets.load("inat2018")


def tree(order):
    """Return the supercategory and size of each class; the first 70 % in this order train."""
    ids = list(range(8_142))
    random.Random(2018).shuffle(ids)
    groups, sizes, missing = {}, {}, INAT.counts.train_images
    # The largest supercategory comes last and takes what the others leave.
    for name, (classes, train, validation) in reversed(TREE.items()):
        own = sorted((ids.pop() for _ in range(classes)), key=order)
        first, others = own[: int(classes * 0.7)], own[int(classes * 0.7) :]
        images = train + validation
        share = missing if name == "Plantae" else images * len(first) // classes
        missing -= share
        groups |= dict.fromkeys(own, name)
        # Three images of each class are for validation, so there are four or more in all.
        for half, n in ((first, share), (others, images - share)):
            sizes |= spread(n, half, 4, 10**6) if half else {}
    return dict(sorted(groups.items())), sizes


def inat_files(folder: Path, groups, sizes) -> None:
    """Write both annotation files and the lists; the split is by `int` order."""
    paths = {
        label: [f"train_val2018/{groups[label]}/{label}/{label:016x}{i:016x}.jpg" for i in range(n)]
        for label, n in sizes.items()
    }
    parts = {
        "train2018": [(path, label) for label, own in paths.items() for path in own[3:]],
        "val2018": [(path, label) for label, own in paths.items() for path in own[:3]],
    }
    categories = [
        {
            **{"id": label, "name": f"{label:064x}", "supercategory": groups[label]},
            **dict.fromkeys(("kingdom", "phylum", "class", "order", "genus"), f"{label:064x}"),
        }
        for label in groups
    ]
    first = 0
    for name, part in parts.items():
        images = ", ".join(
            f'{{"license": 0, "file_name": "{path}", "rights_holder": "Somebody", "width": 800, '
            f'"height": 600, "id": {i}}}'
            for i, (path, _) in enumerate(part, first)
        )
        annotations = ", ".join(
            f'{{"image_id": {i}, "category_id": {label}, "id": {i}}}'
            for i, (_, label) in enumerate(part, first)
        )
        content = (
            f'{{"info": {{"year": 2018}}, "images": [{images}], "licenses": [], '
            f'"annotations": [{annotations}], "categories": {json.dumps(categories)}}}'
        ).encode()
        with tarfile.open(folder / f"{name}.json.tar.gz", "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo(f"{name}.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        first += len(part)
    train = training(groups)
    lists = {"train": [], "test": []}
    for label, own in paths.items():
        lists["train" if label in train else "test"] += own
    with zipfile.ZipFile(folder / "inat_dataset_splits.zip", "w") as bundle:
        for name, lines in lists.items():
            member = f"Inat_dataset_splits/Inaturalist_{name}_set1.txt"
            bundle.writestr(member, "\n".join(lines))


def training(groups):
    train = set()
    for name, (classes, _, _) in TREE.items():
        own = [label for label in groups if groups[label] == name]
        train |= set(own[: int(classes * 0.7)])
    return train


@pytest.fixture(scope="module")
def inat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inat")
    groups, sizes = tree(int)
    assert len(groups) == 8_142
    assert sum(sizes.values()) == 437_513 + 24_426 == 325_846 + 136_093
    inat_files(folder, groups, sizes)
    return folder


READER = """
import json, resource, sys, time
from pathlib import Path
from dataclasses import asdict
from tcmbench import datasets
dataset = datasets.load("inat2018")
begin = time.perf_counter()
reading = dataset.layout(sys.argv[2]).read(Path(sys.argv[1]), dataset.counts)
split = reading.split
split.check()
print(json.dumps({
    "seconds": time.perf_counter() - begin,
    # In KiB on Linux.
    "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "counts": asdict(split.counts()),
    "shared": len({i.label for i in split.train} & {i.label for i in split.test}),
    "paths": len({path for part in reading.images for path in part.paths}),
    "note": reading.note,
}))
"""


@pytest.mark.parametrize("layout", ["lists", "rule"])
def test_inat_labels_of_published_size(layout, inat):
    command = [sys.executable, "-c", READER, str(inat), layout]
    source = Path(datasets.__file__).parents[2]
    done = subprocess.run(command, check=True, cwd=source, capture_output=True, text=True)
    found = json.loads(done.stdout)
    print(f"{layout}: {found['seconds']:.1f} s, {found['bytes'] / 1e9:.2f} GB")
    assert Counts(**found["counts"]) == INAT.counts
    assert (found["shared"], found["paths"]) == (0, 461_939)
    assert ("numeric order" in (found["note"] or "")) == (layout == "rule")
    assert found["seconds"] < SECONDS
    assert found["bytes"] < MEMORY


@pytest.mark.parametrize("name", ["numeric", "lexicographic"])
def test_the_rule_at_published_size_without_files(name):
    groups, sizes = tree({"numeric": int, "lexicographic": str}[name])
    classes = [label for label, n in sizes.items() for _ in range(n)]
    training, note = choose(groups, classes, INAT.counts)
    assert len(training) == 5_690
    assert sum(sizes[label] for label in training) == 325_846
    assert f"in {name} order" in note
    for wrong in (
        replace(INAT.counts, train_images=325_845),
        replace(INAT.counts, train_images=325_847, test_images=136_092),
        replace(INAT.counts, test_classes=2_451),
    ):
        with pytest.raises(UserError, match=r"neither rule .*; get inat_dataset_splits\.zip"):
            choose(groups, classes, wrong)
    classes.remove(max(training))
    with pytest.raises(UserError, match=rf"{name}: 325,845 train images instead of 325,846"):
        choose(groups, classes, INAT.counts)
