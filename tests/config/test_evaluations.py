"""One evaluation, or several side by side."""

from typing import Any

import pytest

from tcmbench.common.errors import UserError
from tcmbench.config.check import runs, train_config
from tcmbench.config.evaluations import evaluations
from tests.config.test_selection import config_of

USUAL = {"far_range": [0.01, 0.1], "beta": 1.0, "epsilon": 0.1, "num_thresholds": 101}
STRICT = {"name": "strict", "far_range": [0.001, 0.01]}


def test_one_evaluation_has_no_name_and_the_runs_own_folder() -> None:
    assert evaluations(config_of()) == {"": USUAL}
    assert evaluations(config_of(evaluation={"beta": 2}))[""] == USUAL | {"beta": 2}


def test_the_first_of_a_list_keeps_the_files_of_a_single_one() -> None:
    found = evaluations(config_of(evaluation=[{"name": "usual"}, STRICT]))
    assert found == {"": USUAL | {"name": "usual"}, "strict": USUAL | STRICT}


def test_a_further_evaluation_changes_no_training() -> None:
    one, two = config_of(), config_of(evaluation=[{"name": "usual"}, STRICT])
    assert [train_config(one, run) for run in runs(one)] == [
        train_config(two, run) for run in runs(two)
    ]


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        ([], "'evaluation' is wrong"),
        ([{"name": "usual"}, {"beta": 2}], "'name' is a required property"),
        ([STRICT, STRICT], "has two settings named 'strict'"),
        ([{"name": "Strict Range"}], "'evaluation.0.name' is wrong"),
        ([{"name": "usual"}, STRICT | {"far_range": [0.1, 0.1]}], r"evaluation\.1\.far_range' is"),
        ({"far_range": [0.1, 0.01]}, r"'evaluation\.far_range' is \[0.1, 0.01\]"),
        ([{"name": "usual", "bta": 1}], r"unknown key 'evaluation\.0\.bta'; did you mean 'beta'"),
    ],
)
def test_wrong_evaluations_are_refused(evaluation: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        config_of(evaluation=evaluation)
