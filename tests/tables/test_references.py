"""Numbers of others: the paper's as typed in, checked cell by cell, and base losses' own."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from tcmbench.common.errors import UserError
from tcmbench.tables.references import PAPER, read_paper, read_published
from tcmbench.tables.write import write_tables
from tests.paths import ROOT
from tests.tables.run_folders import CUB, write_pair

SHIPPED = ROOT / "report/paper_results.csv"
PUBLISHED = ROOT / "report/published_recall.csv"
EMPTY = "cub,resnet50,smooth_ap,,,,,,,"


def typed_in(tmp_path, row, old=EMPTY):
    """The shipped file with one row filled in."""
    text = SHIPPED.read_text()
    assert old in text
    path = tmp_path / "paper.csv"
    path.write_text(text.replace(old, row))
    return path


# --- what is shipped -----------------------------------------------------------------------------


def test_the_shipped_table_is_empty_and_whole():
    assert read_paper(SHIPPED) == {}
    frame = pd.read_csv(SHIPPED, comment="#")
    assert len(frame) == len(frame.drop_duplicates(["dataset", "backbone", "loss"])) == 16
    assert frame[[*PAPER, "note"]].isna().all(axis=None)
    head = SHIPPED.read_text().partition("dataset,")[0]
    for unit in ("percent", "percentage points", "plain numbers"):
        assert unit in head


def test_published_values_are_those_with_a_source():
    shares = {cell: row["recall_at_1"] for cell, row in read_published(PUBLISHED).items()}
    assert shares == {
        ("sop", "resnet50", "smooth_ap"): pytest.approx(0.801),
        ("inat2018", "resnet50", "smooth_ap"): pytest.approx(0.672),
        ("sop", "resnet50", "recall_at_k"): pytest.approx(0.827),
        ("inat2018", "resnet50", "recall_at_k"): pytest.approx(0.718),
        ("cars196", "vit_b16", "recall_at_k"): pytest.approx(0.895),
        ("sop", "vit_b16", "recall_at_k"): pytest.approx(0.880),
        ("inat2018", "vit_b16", "recall_at_k"): pytest.approx(0.830),
    }
    assert pd.read_csv(PUBLISHED, comment="#")["source"].str.len().min() > 20


# --- what someone types in -----------------------------------------------------------------------


def test_a_row_in_our_units(tmp_path):
    path = typed_in(tmp_path, "cub,resnet50,smooth_ap,66.1,−0.2,0.0042,-0.0013,,,page 8")
    ((cell, numbers),) = read_paper(path).items()
    assert cell == ("cub", "resnet50", "smooth_ap")
    assert numbers["recall_at_1_tcm"] == pytest.approx(0.661)
    assert numbers["recall_at_1_delta"] == pytest.approx(-0.002)
    assert (numbers["opis_tcm"], numbers["opis_delta"]) == (0.0042, -0.0013)
    assert math.isnan(numbers["epsilon_opis_tcm"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("cub,resnet50,smooth_ap,many,,,,,,", "'many' is not a number"),
        ("cub,resnet50,smooth_ap,nan,,,,,,", "nan is not between 0 and 100"),
        ("cub,resnet50,smooth_ap,101,,,,,,", "101 is not between 0 and 100"),
        ("cub,resnet50,smooth_ap,0.661,,,,,,", "0.661 is a share; .* in percent, as 66.1"),
        ("cub,resnet50,smooth_ap,,,4.2,,,,", "opis_tcm: 4.2 is not between 0 and 0.25"),
        ("cub,resnet50,smooth_ap,,,,,1.5,,", "epsilon_opis_tcm: 1.5 is not between"),
        ("cub,resnet50,smooth_ap,99.5,-0.9,,,,,", "recall_at_1_tcm minus .* no base loss can have"),
        ("cub,resnet50,smooth_ap,,,0.001,0.002,,,", "opis_tcm minus opis_delta is -0.001"),
        ("cub,resnet50,smooth_ap,66,1,,,,,,", "more cells than the header"),
        ("cub,resnet50,smooth_ap,66.1", "fewer cells than the header"),
        ("cub,resnet50,smoothap,,,,,,,", "unknown loss 'smoothap'; did you mean 'smooth_ap'"),
        ("cub,resnet50,recall_at_k,,,,,,,", "cub resnet50 recall_at_k occurs twice"),
    ],
)
def test_a_bad_cell_is_named_in_one_sentence(tmp_path, row, message):
    path = typed_in(tmp_path, row)
    with pytest.raises(UserError, match=message) as caught:
        read_paper(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_number_counts_the_comments(tmp_path):
    path = typed_in(tmp_path, "cub,resnet50,smooth_ap,many,,,,,,")
    (number,) = [
        index for index, line in enumerate(path.read_text().splitlines(), 1) if "many" in line
    ]
    with pytest.raises(UserError, match=f"line {number},"):
        read_paper(path)


def test_a_file_without_a_column(tmp_path):
    path = tmp_path / "paper.csv"
    path.write_text("dataset,backbone,loss\n")
    with pytest.raises(UserError, match="lacks the column 'recall_at_1_tcm'"):
        read_paper(path)
    with pytest.raises(UserError, match="does not exist"):
        read_paper(tmp_path / "nothing.csv")
    path.write_bytes("dataset,é".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_paper(path)


# --- in the tables -------------------------------------------------------------------------------


def tables(tmp_path, paper, scale="full", cell=CUB):
    folders = write_pair(tmp_path, cell, scale=scale) + write_pair(
        tmp_path, "sop/vit_b16/recall_at_k", scale=scale
    )
    write_tables(folders, "paper", tmp_path / "out", paper, PUBLISHED)
    frame = pd.read_csv(tmp_path / "out/comparisons.csv")
    return frame, {
        suffix: (tmp_path / f"out/comparisons.{suffix}").read_text()
        for suffix in ("html", "md", "tex")
    }


def test_an_empty_paper_table_adds_nothing(tmp_path):
    frame, texts = tables(tmp_path, SHIPPED)
    assert not [column for column in frame if column.startswith("paper")]
    assert not any(re.search("paper(‡|\\$)|‡", text) for text in texts.values())


def test_a_filled_row_stands_beside_ours(tmp_path):
    paper = typed_in(tmp_path, "cub,resnet50,smooth_ap,66.1,-0.2,0.0042,-0.0013,,,")
    frame, texts = tables(tmp_path, paper)
    assert frame["paper_recall_at_1_tcm"].to_list() == [
        pytest.approx(0.661),
        pytest.approx(np.nan, nan_ok=True),
    ]
    assert frame["published_recall_at_1"].to_list() == [pytest.approx(np.nan, nan_ok=True), 0.88]
    row = next(line for line in texts["md"].splitlines() if "CUB" in line)
    assert [cell.strip() for cell in row.split(" | ")][3:13] == [
        *("50.0", "50.0", "0.0", "", "66.1 (−0.2)"),
        *("4.00", "4.00", "0.00", "0.0 %", "4.20 (−1.30)"),
    ]
    assert "<td>66.1 (−0.2)</td>" in texts["html"]
    assert "66.1 ($-$0.2)" in texts["tex"]
    for text in texts.values():
        assert "as typed" in text
        assert "best R@1 on the test images" in text
    assert texts["tex"].isascii()


def test_miniatures_are_never_set_beside_the_paper(tmp_path):
    paper = typed_in(tmp_path, "cub,resnet50,smooth_ap,66.1,-0.2,0.0042,-0.0013,,,")
    frame, texts = tables(tmp_path, paper, scale="miniature")
    assert not [column for column in frame if column.startswith(("paper", "published"))]
    assert not any("66.1" in text or "88.0" in text for text in texts.values())
