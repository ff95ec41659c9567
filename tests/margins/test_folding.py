"""Folds of training classes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcmbench.common.errors import UserError
from tcmbench.config.folds import Fold
from tcmbench.images.manifests import Item, read_manifest, write_manifest
from tcmbench.margins.folding import parts, write_fold


def items(classes, images=3):
    return [Item(f"{c}/{i}.jpg", c, f"class {c}") for c in classes for i in range(images)]


@given(
    classes=st.sets(st.integers(-5, 10**6), min_size=4, max_size=40),
    of=st.integers(2, 6),
)
def test_each_class_is_scored_by_one_fold_and_trained_on_by_all_others(classes, of):
    if len(classes) < 2 * of:
        with pytest.raises(UserError, match=f"{len(classes)} training classes cannot be dealt"):
            parts(items(classes), Fold(1, of))
        return
    given_items = items(sorted(classes))
    sizes = []
    scored_by = dict.fromkeys(classes, 0)
    for number in range(1, of + 1):
        trained, scored = parts(given_items, Fold(number, of))
        assert sorted([*trained, *scored], key=given_items.index) == given_items
        assert not {i.label for i in trained} & {i.label for i in scored}
        for label in {i.label for i in scored}:
            scored_by[label] += 1
        sizes.append(len({i.label for i in scored}))
    assert set(scored_by.values()) == {1}
    assert max(sizes) - min(sizes) <= 1


def test_the_tables_of_a_fold(tmp_path):
    manifest = tmp_path / "data/train.csv"
    manifest.parent.mkdir()
    write_manifest(manifest, items(range(8)))
    note = {"archives": {"a.tgz": {"sha256": "0"}}, "counts": {"test_images": 5}, "unreadable": {}}
    (manifest.parent / "manifest.json").write_text(json.dumps(note))
    out = tmp_path / "fold"
    write_fold(manifest, Fold(2, 4), out)
    trained, scored = parts(items(range(8)), Fold(2, 4))
    assert read_manifest(out / "train.csv") == trained
    assert read_manifest(out / "validation.csv") == scored
    record = json.loads((out / "manifest.json").read_text())
    assert record["archives"] == note["archives"]
    assert record["fold"]["number"], record["fold"]["of"] == (2, 4)
    assert record["counts"] == {
        "train_images": 18,
        "validation_images": 6,
        "train_classes": 6,
        "validation_classes": 2,
    }
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "train.csv",
        "validation.csv",
    ]
