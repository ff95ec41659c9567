"""Trainings that cannot be built are refused without data, with the sentence of their training."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tcmbench.common.errors import UserError
from tcmbench.training.buildable import require_buildable
from tests.paths import SRC
from tests.training.tiny_data import config

NOWHERE: dict[str, Any] = {"manifest": "nowhere.csv", "images": "nowhere", "weights": "nowhere"}
PML = "pytorch_metric_learning.losses"


def loss(**entry: Any) -> dict[str, Any]:
    return {"loss": {"name": "mine", "params": {}, "file": None, "class_path": None, **entry}}


def test_what_can_be_built_needs_no_file(tmp_path) -> None:
    packaged = loss(class_path=f"{PML}.ProxyAnchorLoss", params={"alpha": 32})
    vit = {
        "timm": "test_vit",
        "pooling": "avg",
        "model_args": {"img_size": 32, "patch_size": 8, "global_pool": "avg"},
    }
    require_buildable([config(tmp_path, **NOWHERE), config(tmp_path, **NOWHERE, **packaged, **vit)])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (loss(name="smooth_ap", params={"temprature": 1}), "'temprature'; did you mean 'temperat"),
        (loss(name="smooth_ap", params={"temperature": 0}), "temperature must be a finite number"),
        (loss(class_path=f"{PML}.CircleLos"), f"there is no class {PML}.CircleLos"),
        (loss(class_path="nopackage.Loss"), r"no class nopackage.Loss \(No module named 'nopack"),
        (loss(class_path="collections.OrderedDict"), "OrderedDict is no torch.nn.Module; name a"),
        (loss(class_path=f"{PML}.CircleLoss", params={"gama": 1}), "'gama'; did you mean 'gamma'?"),
        (loss(file="gone.py"), "loss 'mine': gone.py is not a Python file"),
        ({"regularizer": {"margin_postive": 1}}, "'margin_postive'; did you mean 'margin_positive"),
        ({"timm": "test_resnext"}, "timm cannot build 'test_resnext'"),
        ({"pooling": "gems"}, "pooling 'gems' is unknown; did you mean 'gem'?"),
        ({"model_args": {"widht": 3}}, "timm cannot build 'test_resnet' with"),
        ({"batch_size": 13}, "batch_size 13 is not a multiple of samples_per_class 3"),
        ({"compute": {"processes": 3}}, "the 4 classes of a batch cannot be shared out evenly"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(tmp_path, changes, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        require_buildable([config(tmp_path), config(tmp_path, **changes)])


def test_the_command_refuses_with_exit_code_2(tmp_path) -> None:
    wrong = config(tmp_path, **loss(name="smooth_ap", params={"temprature": 1}))
    done = subprocess.run(
        [sys.executable, SRC / "check_runs.py"],
        input=json.dumps([wrong]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: loss 'smooth_ap' has no parameter 'temprature'; did you mean")
