"""The losses of pytorch-metric-learning in config.yaml: each takes a step, with and without TCM."""

import pytest
import torch
import yaml

from tcmbench.training.engine import Engine
from tcmbench.training.settings import Settings
from tests.paths import ROOT
from tests.training.tiny_data import CLASSES, config, margins

LOSSES = yaml.safe_load((ROOT / "config.yaml").read_text())["losses"]
PACKAGE = {name: entry for name, entry in LOSSES.items() if "class" in entry}
# Those with a vector for each class.
VECTORS = {"proxy_anchor", "arc_face"}


def engine(tiny_set, name, **changes):
    entry = PACKAGE[name]
    loss = {"name": name, "params": entry["params"], "file": None, "class_path": entry["class"]}
    values = config(tiny_set, loss=loss, **changes)
    return Engine(Settings.from_json(values), CLASSES, torch.device("cpu"))


def test_the_five_of_the_figure_and_the_toys():
    wanted = {"proxy_anchor", "multi_similarity", "contrastive", "triplet", "circle", "arc_face"}
    assert set(PACKAGE) == wanted
    assert all(entry["suites"] == [] for entry in PACKAGE.values())


@pytest.mark.parametrize("name", PACKAGE)
@pytest.mark.parametrize("tcm", [False, True], ids=["base", "tcm"])
def test_a_step(tiny_set, name, tcm):
    built = engine(tiny_set, name, **(margins() if tcm else {}))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(12) // 3
    before = [value.detach().clone() for value in built.model.parameters()]
    vectors = [value.detach().clone() for value in built.objective.parameters()]
    terms = built.step(images, labels, watched=False)
    assert set(terms) == ({"total", "base", "tcm"} if tcm else {"total"})
    assert terms["total"] > 0
    if tcm:
        assert terms["tcm"] > 0
        assert terms["total"] == pytest.approx(float(terms["base"] + terms["tcm"]))
    moved = zip(before, built.model.parameters(), strict=True)
    assert any((old != new).any() for old, new in moved)
    assert len(vectors) == (name in VECTORS)
    for old, new in zip(vectors, built.objective.parameters(), strict=True):
        assert sorted(old.shape) == [CLASSES, 16]
        assert (old != new).any()


@pytest.mark.parametrize("name", PACKAGE)
def test_its_parameters_are_the_packages_own_defaults(name):
    """A release with other ones must not pass unseen."""
    import inspect

    from tcmbench.losses import load_loss

    sizes = {"num_classes": CLASSES, "embedding_size": 16}
    kind = type(load_loss(name, {}, sizes=sizes, class_path=PACKAGE[name]["class"]))
    known = inspect.signature(kind).parameters
    defaults = {key: known[key].default for key in PACKAGE[name]["params"]}
    assert defaults == PACKAGE[name]["params"]
