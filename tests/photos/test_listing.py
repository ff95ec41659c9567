"""Which pictures a dataset of one's own has, their classes, and its halves."""

import os
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.common.errors import UserError
from tcmbench.photos.listing import labelled, listed
from tcmbench.photos.sources import Picture, of_folder
from tests.photos.albums import write_album, write_picture, write_table

NAMES = ["Äpfel", "一 二", "mit Leerzeichen", "🍌 banana", "zebra's", 'q"uote, comma']


def names(items):
    return list(dict.fromkeys(item.class_name for item in sorted(items, key=lambda i: i.label)))


def of(path, **options):
    return {"folder": str(path), **options}


def refusal(entry):
    with pytest.raises(UserError) as error:
        listed(entry)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_class_is_a_folder_with_pictures_at_any_depth(tmp_path):
    album = write_album(tmp_path / "my photos", NAMES, 2)
    write_picture(album / NAMES[0] / "2019" / "🏖 trip" / "IMG 1.PNG")
    found = listed(of(album))
    items = found.split.train + found.split.test
    assert Counter(item.class_name for item in items) == dict.fromkeys(NAMES, 2) | {NAMES[0]: 3}
    paths = {item.path for item in items}
    assert f"{NAMES[0]}/2019/🏖 trip/IMG 1.PNG" in paths
    assert all((album / path).is_file() for path in paths)
    # By code point: M < q < z < Ä < 一 < 🍌.
    assert names(items) == [NAMES[2], NAMES[5], NAMES[4], NAMES[0], NAMES[1], NAMES[3]]
    assert names(found.split.train) == [NAMES[2], NAMES[5], NAMES[4]]
    assert found.images == album
    assert found.sizes == [2, 2, 2]


def test_what_is_no_picture_is_told_and_what_is_hidden_is_not(tmp_path):
    album = write_album(tmp_path, "abcd", 2)
    for name in ("notes.txt", "a/Thumbs.db", "b/clip.mp4"):
        (album / name).write_text("x")
    write_picture(album / ".cache/hidden/x.png")
    write_picture(album / "a/.thumb.png")
    write_picture(album / "b/@eaDir/x.png")
    write_picture(album / "__MACOSX/x.png")
    found = listed(of(album))
    assert found.others == ["a/Thumbs.db", "b/clip.mp4", "notes.txt"]
    assert len(found.split.train + found.split.test) == 8


def test_links_are_followed_and_circles_are_left(tmp_path):
    album = write_album(tmp_path / "album", "abc", 2)
    elsewhere = write_album(tmp_path / "elsewhere", "d", 2)
    (album / "d").symlink_to(elsewhere / "d")
    (album / "a/round").symlink_to(album)
    split = listed(of(album)).split
    items = split.train + split.test
    assert Counter(item.class_name for item in items) == dict.fromkeys("abcd", 2)


def test_numbers_are_ordered_by_value(tmp_path):
    album = write_album(tmp_path, [str(n) for n in (1, 2, 3, 10, 11, 20)], 2)
    assert names(listed(of(album)).split.train) == ["1", "2", "3"]


def test_composed_and_decomposed_names_are_ordered_alike(tmp_path):
    for form, name in (("composed", "\u00e9tude"), ("decomposed", "e\u0301tude")):
        write_album(tmp_path / form, ["zoo", name, "fa", "sol"], 2)
    halves = [names(listed(of(tmp_path / form)).split.test) for form in ("composed", "decomposed")]
    assert halves == [["zoo", "\u00e9tude"], ["zoo", "e\u0301tude"]]


@pytest.mark.parametrize(
    ("share", "count"), [(None, 50), (0.29, 29), (0.5, 50), (0.999, None), (0.02, 2), (0.019, None)]
)
def test_the_share_counts_classes(share, count, tmp_path):
    rows = []
    for label in range(100):
        for number in range(2):
            rows.append((f"{label}_{number}.png", label))
            (tmp_path / f"{label}_{number}.png").touch()
    entry = {"table": str(write_table(tmp_path / "t.csv", rows))}
    entry |= {} if share is None else {"train_share": share}
    if count is None:
        assert "and two are the least on either side; change train_share" in refusal(entry)
    else:
        found = listed(entry)
        assert len(found.sizes) == count
        assert f"{50 if share is None else 100 * share:g} % of the classes" in found.rule


def test_a_seed_draws_classes_and_another_class_moves_none(tmp_path):
    album = write_album(tmp_path, [f"c{n:02}" for n in range(20)], 2)
    halves = {seed: set(names(listed(of(album, split_seed=seed)).split.train)) for seed in (0, 1)}
    assert halves[0] != halves[1]
    assert halves[0] == set(names(listed(of(album, split_seed=0)).split.train))
    assert all(len(half) == 10 for half in halves.values())
    write_album(album, ["another"], 2)
    # Of 21 classes 10 are drawn: the new one may take the place of one.
    assert len(halves[0] - set(names(listed(of(album, split_seed=0)).split.train))) <= 1


@settings(deadline=None, max_examples=50)
@given(
    labels=st.lists(
        st.text(st.characters(codec="utf-8", categories=("L", "N", "So")), min_size=1),
        min_size=4,
        max_size=12,
        unique=True,
    ),
    share=st.floats(0.01, 0.99),
    seed=st.none() | st.integers(0, 9),
)
def test_halves_share_no_class_and_lose_no_picture(labels, share, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    rows = [(f"{n}_{k}.png", label) for n, label in enumerate(labels) for k in range(2)]
    for path, _ in rows:
        (folder / path).touch()
    entry = {"table": str(write_table(folder / "t.csv", rows)), "train_share": share}
    entry |= {} if seed is None else {"split_seed": seed}
    wanted = int(len(labels) * share + 1e-9)
    if not 2 <= wanted <= len(labels) - 2:
        assert "two are the least on either side" in refusal(entry)
        return
    split = listed(entry).split
    assert not {i.class_name for i in split.train} & {i.class_name for i in split.test}
    assert sorted((i.path, i.class_name) for i in split.train + split.test) == sorted(rows)
    assert len({i.label for i in split.train}) == wanted


# --- tables -------------------------------------------------------------------------------------


def pictures(folder, count=8):
    for number in range(count):
        write_picture(folder / f"{number}.png", number)


def test_a_table_names_files_labels_and_classes(tmp_path):
    pictures(tmp_path / "photos")
    rows = [(f"{n}.png", f"id{n // 2}", ["rose", "tulip", "fir", "oak"][n // 2]) for n in range(8)]
    columns = ("path", "label", "class_name")
    table = write_table(tmp_path / "t.csv", rows, columns)
    entry = {"table": str(table), "images": str(tmp_path / "photos")}
    found = listed(entry)
    assert names(found.split.train) == ["fir", "oak"]
    assert names(found.split.test) == ["rose", "tulip"]
    assert found.images == tmp_path / "photos"


def test_a_table_of_a_spreadsheet_with_its_own_split(tmp_path):
    pictures(tmp_path)
    halves = ["Test", "train "]
    lines = ["path,label,split", *(f"{n}.png,{n // 2},{halves[n % 4 > 1]}" for n in range(8))]
    (tmp_path / "t.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    found = listed({"table": str(tmp_path / "t.csv")})
    assert names(found.split.train) == ["1", "3"]
    assert found.rule == "as the table's column split says"


TABLES = {
    "lacks the column 'path'; its first line has to name path and label, and may name split and "
    "class_name, parted by commas, and is 'path;label'": "path;label\n0.png;a\n",
    "line 2 is incomplete": "path,label\n0.png,\n",
    "line 2 has the split 'trian'; did you mean 'train'?": "path,label,split\n0.png,a,trian\n",
    "line 3 has the split ''": "path,label,split\n0.png,a,train\n1.png,a,\n",
    "gives the label 'a' two class names, 'x' and 'y'": (
        "path,label,class_name\n0.png,a,x\n1.png,a,y\n"
    ),
    "lists '0.png' twice": "path,label\n0.png,a\n0.png,b\n",
    "2 files (77.png, 78.png) are of": "path,label\n0.png,a\n77.png,a\n78.png,b\n",
    "1 class (a) is both in the training and in the test images": (
        "path,label,split\n0.png,a,train\n1.png,a,test\n2.png,b,train\n"
    ),
    "has 1 classes with pictures, and 4 are the least": "path,label\n0.png,a\n1.png,a\n",
    "has 0 classes with pictures": "path,label\n",
    "1 class (d) is too small": (
        "path,label\n0.png,a\n1.png,a\n2.png,b\n3.png,b\n4.png,c\n5.png,c\n6.png,d\n"
    ),
    "has 1 training and 3 test classes": "path,label,split\n"
    + "".join(f"{n}.png,{n // 2},{'train' if n < 2 else 'test'}\n" for n in range(8)),
}


@pytest.mark.parametrize("sentence", TABLES)
def test_a_table_is_refused(sentence, tmp_path):
    pictures(tmp_path)
    (tmp_path / "t.csv").write_text(TABLES[sentence])
    assert sentence.replace("are of", "are of " + str(tmp_path)) in refusal(
        {"table": str(tmp_path / "t.csv")}
    )


def test_a_table_that_is_none_is_refused(tmp_path):
    assert "does not exist" in refusal({"table": str(tmp_path / "no.csv")})
    (tmp_path / "latin.csv").write_bytes("path,label\nä.png,a\n".encode("latin-1"))
    assert "is not a CSV table in UTF-8" in refusal({"table": str(tmp_path / "latin.csv")})
    assert "is not a CSV table" in refusal({"table": str(tmp_path)})


def test_split_and_share_contradict_each_other(tmp_path):
    pictures(tmp_path)
    rows = [(f"{n}.png", n // 2, "train" if n < 4 else "test") for n in range(8)]
    table = write_table(tmp_path / "t.csv", rows, ("path", "label", "split"))
    told = refusal({"table": str(table), "train_share": 0.5})
    assert "has a column split, so that train_share is not for it" in told


# --- folders ------------------------------------------------------------------------------------


def test_a_folder_is_refused(tmp_path):
    assert "is not a folder" in refusal(of(tmp_path / "none"))
    album = write_album(tmp_path / "few", "abc")
    assert "has 3 classes with pictures, and 4 are the least" in refusal(of(album))
    write_picture(album / "d/only.png")
    write_picture(album / "e/only.png")
    assert "2 classes (d, e) are too small" in refusal(of(album))
    write_picture(album / "loose.png")
    assert f"1 picture (loose.png) is directly in {album}, in no class" in refusal(of(album))


def test_a_name_that_is_no_unicode_is_refused(tmp_path):
    album = write_album(tmp_path, "abcd", 2)
    try:
        os.close(os.open(os.fsencode(album) + b"/a/\xff.png", os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes Unicode alone")
    assert "is not valid Unicode; rename it" in refusal(of(album))


def test_pictures_that_nothing_here_decodes_are_not_passed_over(tmp_path):
    album = write_album(tmp_path, "a")
    (album / "a/IMG_1.HEIC").write_bytes(b"x")
    assert Picture("a/IMG_1.HEIC", "a", "a") in of_folder(album)[0]


def test_all_pictures_of_a_folder_are_labelled_by_the_place_of_their_class(tmp_path):
    album = write_album(tmp_path / "album", ["b", "a"], 1)
    assert [(item.path, item.label) for item in labelled(album)] == [("a/0.png", 0), ("b/0.png", 1)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty has no folder with a picture"):
        labelled(tmp_path / "empty")
