"""The command of the figures: names of its files, sentences for what cannot be drawn."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import figures
from tcmbench.common.errors import UserError
from tests.paths import ROOT
from tests.plots.test_plots_classes import epoch, write_rates
from tests.plots.test_plots_embeddings import at, write_embeddings, write_neighbours
from tests.plots.test_plots_tables import MARGINS, SIXTEEN, ablated, bent
from tests.tables.run_folders import CUB, write_pair


def draw(*arguments):
    figures.command(figures.parser().parse_args([str(argument) for argument in arguments]))


def names(folder):
    return {path.name for path in folder.iterdir()}


def three(*stems):
    return {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "pdf", "png")}


def test_figures_of_tables(tmp_path):
    for name, frame in (("plane", SIXTEEN), ("pareto", bent()), ("ablation", ablated(MARGINS))):
        frame.to_csv(tmp_path / figures.TABLES[name][1], index=False)
        draw(name, "--tables", tmp_path, "--out", tmp_path / "out")
    assert names(tmp_path / "out") == three("plane", "pareto", "ablation")


def test_figures_of_a_datasets_runs(tmp_path, capsys):
    folders = write_pair(tmp_path, CUB) + write_pair(tmp_path, CUB, seed=1)[:1]
    for folder in folders:
        write_rates(folder, sizes=[2, 3, 5])
        record = {"config": {"scale": "full"}, "epochs": [epoch(2, 1, 1)]}
        (folder / "run.json").write_text(json.dumps(record))
    out = tmp_path / "out"
    draw("deployer", "--dataset", "cub", "--far", "0.05", "--out", out, *folders)
    assert "seed1 is left out of the comparisons" in capsys.readouterr().err
    draw("training", "--dataset", "cub", "--out", out, *folders)
    # A training needs no partner.
    assert capsys.readouterr().err == ""
    assert names(out) == three("deployer_cub", "training_cub")
    assert "false accept rate of 5 % over" in (out / "deployer_cub.svg").read_text()


def test_figures_of_a_pair(tmp_path):
    folders = write_neighbours(tmp_path)
    images = ("--images", tmp_path / "data")
    draw("neighbours", *images, "--out", tmp_path / "out", *folders)
    for folder in folders:
        write_embeddings(folder, at(np.arange(0, 360, 45)), np.repeat([1, 2, 3, 4], 2))
    draw("toy", "--out", tmp_path / "out", *folders)
    assert names(tmp_path / "out") == three("neighbours_cub_resnet50_smooth_ap", "toy")
    more = write_pair(tmp_path, "cub/vit_b16/smooth_ap")
    with pytest.raises(UserError, match="more than one comparison"):
        draw("toy", "--out", tmp_path / "out", *folders, *more)


def test_a_process_says_one_sentence(tmp_path):
    pd.DataFrame({"dataset": ["cub"]}).to_csv(tmp_path / "runs.csv", index=False)
    command = [sys.executable, ROOT / "src/figures.py", "pareto", "--tables", tmp_path]
    done = subprocess.run(
        [*command, "--out", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: the table has no column 'backbone'; make it anew with src/aggregate.py\n"
    )
    assert not (tmp_path / "out").exists()


def test_every_figure_has_help_and_it_is_fast():
    (choices,) = (action.choices for action in figures.parser()._actions if action.choices)
    assert set(choices) == {"utility", "deployer", "training", "toy", "neighbours", *figures.TABLES}
    for figure in choices.values():
        assert figure.description.startswith("Write ")
        assert all(
            action.help for action in figure._actions if action.dest not in ("draw", "figure")
        )
    before = os.times()
    subprocess.run(
        [sys.executable, ROOT / "src/figures.py", "toy", "--help"], check=True, capture_output=True
    )
    assert os.times().children_user - before.children_user < 3


def test_every_figure_has_a_caption():
    captions = {path.stem for path in (ROOT / "report").glob("*.rst")}
    (choices,) = (action.choices for action in figures.parser()._actions if action.choices)
    assert set(choices) <= captions
