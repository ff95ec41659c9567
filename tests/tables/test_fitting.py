"""The footnote of images of one's own: their split, and what the recipe became."""

import json

from tcmbench.tables.fitting import fitting
from tcmbench.tables.frames import comparisons_frame
from tcmbench.tables.notes import table_notes
from tcmbench.tables.pairing import pair
from tcmbench.tables.runs import read_runs
from tests.tables.run_folders import write_pair


def amend(folder, backbone="resnet50", weights="results/weights/x.safetensors", **more):
    path = folder / "run.json"
    record = json.loads(path.read_text())
    plan = {"batch_size": 20, "samples_per_class": 4, "epochs": 134}
    record["config"] |= {"optimization": plan, "weights": weights, "model": {"timm": backbone}}
    record["data"] |= {"split": "50 % of the classes are trained on, the first by name"}
    path.write_text(json.dumps(record | {"steps": 1402} | more))


def notes(folders):
    comparisons, _ = pair(read_runs(folders))
    return table_notes(comparisons, comparisons_frame(comparisons, "mine"), "mine")


def test_split_and_recipe_are_said(tmp_path):
    folders = write_pair(tmp_path, "shop/resnet50/recall_at_k", scale="own")
    for folder in folders:
        amend(folder)
    found = fitting(read_runs(folders))
    assert "shop: 50 % of the classes are trained on, the first by name." in found[0]
    assert found[1].endswith(
        "shop, ResNet-50, Recall@k: 1,402 steps of 20 images (5 classes, 4 images each) in 134 "
        "epochs."
    )
    assert set(found) <= set(notes(folders))


def test_other_suites_have_no_such_note(tmp_path):
    assert not [note for note in notes(write_pair(tmp_path)) if "Recipes:" in note]


def test_small_networks_are_named_as_pretrained_on_digits(tmp_path):
    small = write_pair(tmp_path, "shop/test_resnet/recall_at_k", scale="own")
    large = write_pair(tmp_path, "shop/resnet50/recall_at_k", scale="own")
    for folder in small:
        amend(folder, "test_resnet.r160_in1k")
    for folder in large:
        amend(folder, "resnet50.tv_in1k")
    text = " ".join(notes([*small, *large]))
    wanted = "resnet50.tv_in1k, test_resnet.r160_in1k (pretrained by the suite on digits)."
    assert f"Networks: {wanted}" in text


def test_images_that_were_left_out_are_not_called_published(tmp_path):
    folders = write_pair(
        tmp_path, "shop/resnet50/recall_at_k", scale="own", unreadable={"a b.jpg": "cut"}
    )
    text = " ".join(notes(folders))
    assert "shop: 1 of the images cannot be decoded and was left out: a b.jpg." in text
