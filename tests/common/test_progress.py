import sys

import pytest

import tcmbench.common.progress
from tcmbench.common.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(tcmbench.common.progress.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_silent_at_first_and_then_tells_the_time_left(clock, capsys):
    with Progress(1_234, "images", "unpacking") as progress:
        clock[0] += 19.9
        progress.update(199)
        assert capsys.readouterr().err == ""
        clock[0] += 0.1
        progress.update()
        # 200 images in 20 s are 10 a second; the other 1,034 need 103.4 s.
        assert capsys.readouterr().err == (
            "unpacking: 200 of 1,234 images, 10.0 images/s, 01:43 left\n"
        )
        clock[0] += 19
        progress.update()
    assert capsys.readouterr().err == ""


def test_progress_rewrites_its_line_on_a_terminal(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(None, "MB", "downloading") as progress:
        for _ in range(2):
            clock[0] += 2
            progress.update(30)
    assert capsys.readouterr().err == (
        "\rdownloading: 30 MB, 15.0 MB/s\x1b[K\rdownloading: 60 MB, 15.0 MB/s\x1b[K\n"
    )


def test_progress_counts_hours(clock, capsys):
    progress = Progress(120_000, "MB", "x")
    clock[0] += 20
    progress.update(200)
    # The other 119,800 MB at 10 MB/s need 11,980 s = 3 h 19 min 40 s.
    assert "3:19:40 left" in capsys.readouterr().err
