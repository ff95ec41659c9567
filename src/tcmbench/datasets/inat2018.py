"""iNaturalist 2018: species, with the class-disjoint split of the Smooth-AP authors."""

from pathlib import Path

from tcmbench.archives.lookup import located, read_texts
from tcmbench.common.files import in_folder
from tcmbench.datasets.base import Counts, Dataset, Images, Layout, Reading, Split, listed
from tcmbench.datasets.inat_labels import ARCHIVES, FILES, ROOT, read_labels
from tcmbench.datasets.inat_rule import choose
from tcmbench.images.manifests import Item

IMAGES = "train_val2018.tar.gz"
SPLITS = "inat_dataset_splits.zip"
LISTS = ("Inaturalist_train_set1.txt", "Inaturalist_test_set1.txt")


def read_lists(archives: Path, _counts: Counts) -> Reading:
    """Split the images by the published lists, in whatever folder of their archive they lie.

    Images of the archive that neither list names are left packed.
    """
    labels = read_labels(archives)
    source = in_folder(archives, SPLITS)
    _, texts = read_texts(source, "", *located(source, *LISTS))
    train, test = (
        [labels.item(path, str(source)) for path in map(str.strip, text.splitlines()) if path]
        for text in texts
    )
    return _reading(train, test, str(source))


def read_rule(archives: Path, counts: Counts) -> Reading:
    """Split all images by the rule that gives these counts exactly (see `inat_rule`).

    Raises:
        UserError: the label files are damaged, or no single rule gives these counts.
    """
    labels = read_labels(archives)
    training, note = choose(labels.groups, labels.classes.values(), counts)
    source = " and ".join(FILES)
    train: list[Item] = []
    test: list[Item] = []
    for path in labels.classes:
        item = labels.item(path, source)
        (train if item.label in training else test).append(item)
    return _reading(train, test, source, note)


def _reading(train: list[Item], test: list[Item], source: str, note: str | None = None) -> Reading:
    wanted = [item.path for item in (*train, *test)]
    return Reading(Split(train, test), (Images(IMAGES, ROOT, wanted, source),), note)


DATASET = Dataset(
    title="iNaturalist 2018",
    licence="non-commercial research and education only; the images may not be passed on",
    # Its section "Terms of Use".
    licence_url="https://github.com/visipedia/inat_comp/blob/master/2018/README.md",
    layouts={
        "lists": Layout(listed("inat2018", IMAGES, *ARCHIVES, SPLITS), read_lists),
        "rule": Layout(listed("inat2018", IMAGES, *ARCHIVES), read_rule),
    },
    # Images: pytorch-metric-learning tests/datasets/test_inaturalist2018.py. Classes: no source
    # says so in words; they follow from 70 % of each supercategory, rounded down.
    counts=Counts(
        train_images=325_846, train_classes=5_690, test_images=136_093, test_classes=2_452
    ),
    unpacked_bytes=125_000_000_000,
)
