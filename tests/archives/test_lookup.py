"""Label files and images below another top folder than the published one, and twins."""

import io
import tarfile
import zipfile

import pytest

from tcmbench import datasets
from tcmbench.archives.lookup import read_texts, top_folder
from tcmbench.common.errors import UserError
from tcmbench.preparation.build import build
from tests.datasets.layouts import LAYOUTS, TRUTH, pack

TOP = {"cub": "CUB_200_2011/", "cars196": "car_ims/", "sop": "Stanford_Online_Products/"}


@pytest.mark.parametrize("name", [*TOP, "inat2018"])
@pytest.mark.parametrize("change", ["none", "another", "one more"])
def test_any_top_folder_is_found(name, change, tmp_path):
    layout = LAYOUTS[name]()
    top = TOP.get(name, "train_val2018/")
    new = {"none": "", "another": "my copy/", "one more": f"data/{top}"}[change]
    for archive, members in layout.items():
        if isinstance(members, dict):
            layout[archive] = {
                new + path.removeprefix(top): content for path, content in members.items()
            }
    folder = pack(tmp_path / "archives", layout)
    out = tmp_path / "out"
    build(name, folder, out, count_check=False)
    found = {p.relative_to(out / "images").as_posix() for p in (out / "images").rglob("*.[jJ]*")}
    assert found == {path for half in TRUTH[name] for path, _, _ in half}


def test_the_usual_folder_wins_over_copies():
    names = ["old/r/a.txt", "r/a.txt", "r/b.txt", "old/r/b.txt"]
    assert top_folder(names, ["a.txt", "b.txt"], "r/", "x.zip") == "r/"
    # Also where it is not whole, so that what is missing there is named.
    assert top_folder(names[:2] + names[3:], ["a.txt", "b.txt"], "r/", "x.zip") == "r/"


def test_of_other_folders_the_whole_one_counts_and_two_are_refused():
    names = ["x/a", "y/a", "y/b", "z/c"]
    assert top_folder(names, ["a", "b"], "r/", "x.zip") == "y/"
    assert top_folder(["x/a", "q"], ["a", "b"], "r/", "x.zip") == "x/"
    assert top_folder(["q"], ["a", "b"], "r/", "x.zip") == "r/"
    with pytest.raises(UserError, match=r"x\.zip has 'a' in several folders \('x/', 'y/'\), so"):
        top_folder([*names, "x/b"], ["a", "b"], "r/", "x.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_label_file_that_comes_twice_is_refused(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for content in ("first", "second"):
            bundle.writestr("r/labels.txt", content)
    with pytest.raises(UserError, match=r"holds 'r/labels\.txt' twice, so it is not clear which"):
        read_texts(archive, "r/", "labels.txt")


def test_a_label_file_that_comes_again_behind_the_images_is_noticed(tmp_path):
    layout = LAYOUTS["cub"]()
    archive = pack(tmp_path, layout) / "CUB_200_2011.tgz"
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        twice = [*layout[archive.name].items(), ("CUB_200_2011/images.txt", b"1 x/y.jpg\n")]
        for name, content in twice:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (tmp_path / "b.tar").rename(archive)
    dataset = datasets.load("cub")
    with pytest.raises(UserError, match=r"holds 'CUB_200_2011/images\.txt' twice"):
        dataset.layout().read(tmp_path, dataset.counts)
