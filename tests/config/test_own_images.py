"""Datasets of one's own in config.yaml: refused where unclear, and recipes that fit their size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcmbench.common.errors import UserError
from tcmbench.config.check import Run, runs, train_config
from tcmbench.config.fitting import batches, classes_at_once, fitted
from tcmbench.photos.plan import with_sizes
from tcmbench.training.sampling import epoch_batches
from tests.config.test_config import checked, shipped
from tests.photos.albums import write_album

SUITE = {"scale": "own", "datasets": ["mine"], "backbones": ["resnet50"], "losses": ["recall_at_k"]}


def with_entry(entry, name="mine", **suite):
    config = shipped()
    config["datasets"] = {name: entry}
    config["suites"]["own_suite"] = SUITE | {"datasets": [name]} | suite
    return config | {"suite": "own_suite"}


def refusal(config):
    with pytest.raises(UserError) as error:
        checked(config)
    return str(error.value)


def test_an_entry_is_a_dataset_of_its_suite(monkeypatch):
    monkeypatch.setenv("ALBUMS", "/albums")
    config = checked(with_entry({"folder": "$ALBUMS/mine", "title": "Мой 🛍"}))
    assert {run.folder for run in runs(config)} == {
        f"results/runs/mine/resnet50/recall_at_k/{variant}/seed0" for variant in ("base", "tcm")
    }
    found = train_config(config, runs(config)[0])
    assert (found["scale"], found["images"]) == ("own", "/albums/mine")
    assert found["manifest"] == "results/data/own/mine/train.csv"


@pytest.mark.parametrize(
    ("entry", "images"),
    [
        ({"table": "a/t.csv"}, "a"),
        ({"table": "a/t.csv", "images": "/photos"}, "/photos"),
        ({"folder": "~/x"}, str(Path("~/x").expanduser())),
    ],
)
def test_where_images_lie(entry, images):
    config = checked(with_entry(entry))
    assert train_config(config, runs(config)[0])["images"] == images


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, "'datasets.mine' needs either a folder or a table"),
        ({"folder": "a", "table": "b"}, "needs either a folder or a table"),
        ({"folder": "a", "images": "b"}, "has 'images', which the paths of a table start from"),
        ({"folder": "a", "train_share": 1}, "'datasets.mine.train_share' is wrong"),
        ({"folder": "a", "split_seed": -1}, "'datasets.mine.split_seed' is wrong"),
        ({"folders": "a"}, "unknown key 'datasets.mine.folders'; did you mean 'folder'?"),
    ],
)
def test_entries_are_refused(entry, sentence):
    assert sentence in refusal(with_entry(entry))


def test_names_are_told_from_others():
    assert "'datasets.cub' has the name of a published dataset" in refusal(
        with_entry({"folder": "a"}, "cub")
    )
    assert "ends like the figures of a variant" in refusal(with_entry({"folder": "a"}, "x_tcm"))
    assert "'datasets' is wrong: 'My shop' does not match" in refusal(
        with_entry({"folder": "a"}, "My shop")
    )
    told = refusal(with_entry({"folder": "a"}, datasets=["mina"]))
    assert "names an unknown 'mina'; did you mean 'mine'?" in told


def test_scale_and_datasets_belong_together():
    told = refusal(with_entry({"folder": "a"}, scale="full"))
    assert "'mine' is images of your own; set scale: own" in told
    told = refusal(with_entry({"folder": "a"}, datasets=["mine", "cub"]))
    assert "has the scale 'own', but 'cub' is a published dataset; set scale: full" in told


# --- recipes ------------------------------------------------------------------------------------


def optimization(sizes, backbone="resnet50", loss="recall_at_k", **suite):
    config = checked(with_entry({"folder": "a"}, backbones=[backbone], losses=[loss], **suite))
    config["datasets"]["mine"]["sizes"] = sizes
    return train_config(config, runs(config)[0])["optimization"]


def as_on_cub(backbone, loss):
    config = checked(shipped())
    return train_config(config, Run("cub", backbone, loss, "base", 0))


@pytest.mark.parametrize("backbone", ["resnet50", "vit_b16"])
@pytest.mark.parametrize("loss", ["recall_at_k", "smooth_ap"])
def test_images_like_cubs_have_cubs_recipe(backbone, loss):
    """A hundred classes of 41 to 60 images."""
    config = checked(with_entry({"folder": "a"}, backbones=[backbone], losses=[loss]))
    config["datasets"]["mine"]["sizes"] = [41 + n % 20 for n in range(100)]
    found = train_config(config, runs(config)[0])
    wanted = as_on_cub(backbone, loss)
    assert {key: found[key] for key in ("model", "view", "optimization")} == {
        key: wanted[key] for key in ("model", "view", "optimization")
    }


def test_few_classes_make_small_batches_and_many_epochs():
    """Five classes of 14 images: 3 batches of 5 x 4 an epoch, and 400 steps want 134 epochs."""
    found = optimization([14] * 5)
    assert (found["batch_size"], found["samples_per_class"]) == (20, 4)
    assert (found["epochs"], found["milestones"]) == (134, [33, 67, 100])


def test_many_images_keep_the_recipe():
    found = optimization([50] * 2000)
    assert (found["batch_size"], found["epochs"], found["milestones"]) == (400, 40, [10, 20, 30])


def test_small_classes_lower_the_images_of_a_class():
    assert optimization([3] * 60 + [9] * 40)["samples_per_class"] == 3
    assert optimization([2] * 60 + [9] * 40)["samples_per_class"] == 2
    # A few small ones are left out instead, as in any training.
    assert optimization([2] * 40 + [9] * 60)["samples_per_class"] == 4


def test_a_few_small_classes_do_not_end_an_epoch():
    """With all eleven in every batch, one batch of 44 of 1,004 images would be an epoch."""
    found = optimization([4] + [100] * 10)
    rounds = [1] + [25] * 10
    classes = found["batch_size"] // 4
    assert 2 * classes * batches(rounds, classes) >= sum(rounds)
    assert classes == 10


def test_what_is_swept_is_not_fitted():
    found = optimization([14] * 5, sweep=[{"batch_size": [12], "epochs": [2]}])
    assert (found["batch_size"], found["epochs"]) == (12, 2)


def test_a_trial_is_small():
    found = optimization([100] * 50, backbone="test_resnet", loss="smooth_ap")
    assert (found["batch_size"], found["epochs"], found["learning_rate"]) == (64, 10, 0.001)


@settings(deadline=None)
@given(
    rounds=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    samples=st.integers(2, 4),
    data=st.data(),
)
def test_batches_are_those_of_the_sampler_for_equal_classes(rounds, samples, data):
    """The order of unequal classes is drawn by the sampler; their mean size bounds the batches."""
    classes = data.draw(st.integers(2, len(rounds)))
    equal = [rounds[0]] * len(rounds)
    for sizes in (equal, rounds):
        labels = np.repeat(np.arange(len(sizes)), [size * samples for size in sizes])
        found = batches(sizes, classes)
        assert found * classes <= sum(sizes)
        if sizes is equal:
            real = epoch_batches(labels, classes * samples, samples, seed=0, epoch=0)
            assert found == len(real)


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(2, 80), min_size=2, max_size=60), most=st.sampled_from([384, 400])
)
def test_every_fitted_recipe_fills_a_batch(sizes, most):
    recipe = {"samples_per_class": 4, "batch_size": most, "epochs": 40, "milestones": [10, 20, 30]}
    found = fitted(recipe, sizes)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    assert found["batch_size"] <= most
    assert found["epochs"] >= 40
    assert found["milestones"][-1] < found["epochs"]
    assert epoch_batches(labels, found["batch_size"], found["samples_per_class"], 0, 0)


def test_classes_at_once_by_hand():
    """Three classes of 5, 5 and 1 rounds: 3 at once see 3 of 11, 2 at once 10 of 11."""
    assert (batches([5, 5, 1], 3), batches([5, 5, 1], 2)) == (1, 5)
    assert classes_at_once([5, 5, 1], 100) == 2
    assert classes_at_once([5, 5, 5], 100) == 3


def test_sizes_are_counted_of_the_suite(tmp_path):
    album = write_album(tmp_path, "abcd", 3)
    config = checked(with_entry({"folder": str(album)}))
    assert with_sizes(config)["datasets"]["mine"]["sizes"] == [3, 3]
    assert "sizes" not in config["datasets"]["mine"]
    assert with_sizes(config | {"suite": "quick"})["datasets"] == config["datasets"]
