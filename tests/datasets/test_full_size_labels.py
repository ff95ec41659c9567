"""The label files of the four datasets at their published size, in every layout.

Images are not needed, since readers read labels only.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tcmbench import datasets
from tcmbench.common.errors import UserError
from tcmbench.datasets.base import Counts
from tcmbench.datasets.inat_rule import choose
from tests.datasets.full_size import (
    by_class,
    cars_folders,
    cars_images,
    cub,
    halves,
    inat_files,
    models,
    sop,
    species,
)
from tests.datasets.layouts import cars_devkit, cars_kaggle, pack

# Protocol: seconds and bytes that reading the largest labels, of iNaturalist, may take here.
SECONDS, MEMORY = 60, 2_500_000_000


# By id, as all three datasets are split.
CUB, CARS, SOP = (halves(name) for name in ("cub", "cars196", "sop"))
MODELS = models(196)


def joined(train, test):
    return train | test


def folders(train, test):
    return cars_folders(train | test)


SMALL = {
    ("cub", "official"): (lambda *sizes: cub(joined(*sizes)), CUB),
    ("cars196", "images"): (lambda *sizes: cars_images(joined(*sizes)), CARS),
    ("cars196", "devkit"): (lambda *sizes: cars_devkit(folders(*sizes), MODELS), CARS),
    ("cars196", "kaggle"): (lambda *sizes: cars_kaggle(folders(*sizes), MODELS), CARS),
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
    reading = read(name, layout, pack(tmp_path, make(*sizes)))
    assert_published(name, reading)
    found = {}
    for item in (*reading.split.train, *reading.split.test):
        found[item.label] = found.get(item.label, 0) + 1
    assert found == joined(*sizes)
    # Published class ids run on from training to testing.
    last = len({item.label for item in reading.split.train})
    assert {item.label for item in reading.split.train} == set(range(1, last + 1))


# Without the MATLAB files, which take seconds to make.
@pytest.mark.parametrize(
    ("name", "layout"), [("cub", "official"), ("cars196", "kaggle"), ("sop", "official")]
)
def test_one_training_image_fewer_and_one_test_image_more_are_noticed(name, layout, tmp_path):
    make, sizes = SMALL[name, layout]
    train, test = sizes
    first, last = min(train), max(test)
    other = train | {first: train[first] - 1}, test | {last: test[last] + 1}
    split = read(name, layout, pack(tmp_path, make(*other))).split
    right = datasets.load(name).counts
    assert split.counts().differences(right) == [
        f"{right.train_images - 1:,} train images instead of {right.train_images:,}",
        f"{right.test_images + 1:,} test images instead of {right.test_images:,}",
    ]


INAT = datasets.load("inat2018")


@pytest.fixture(scope="module")
def inat(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inat")
    found = species()
    assert len(found.groups) == 8_142
    assert sum(found.sizes.values()) == 437_513 + 24_426 == 325_846 + 136_093
    inat_files(folder, found)
    return folder


READER = """
import json, re, sys, time
from pathlib import Path
from dataclasses import asdict
from tcmbench import datasets
dataset = datasets.load("inat2018")
begin = time.process_time()
reading = dataset.layout(sys.argv[2]).read(Path(sys.argv[1]), dataset.counts)
split = reading.split
split.check()
print(json.dumps({
    "seconds": time.process_time() - begin,
    # Not getrusage, whose peak begins with that of the process that started this one.
    "bytes": 1024 * int(re.search("VmHWM:([^k]+)", Path("/proc/self/status").read_text())[1]),
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
    found = species({"numeric": int, "lexicographic": str}[name])
    groups, sizes, classes = found.groups, found.sizes, by_class(found.sizes)
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
