"""A command's process leaves at once, and yet nothing that was promised for its end is left out."""

import atexit
import os
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
from tcmbench.commands import main
from tcmbench.common.commands import run_command
from tests.paths import SRC

HEAD = """
import argparse, atexit, multiprocessing, os, sys, tempfile, threading, time
from tcmbench.common.commands import run_command
from tcmbench.common.errors import UserError

def command(arguments):
"""
TAIL = """
run_command(argparse.ArgumentParser(), command)
"""


def run(*lines: str, **options: object) -> subprocess.CompletedProcess[str]:
    program = HEAD + "".join(f"    {line}\n" for line in lines) + TAIL
    # Unbuffered, nothing would be left for the end.
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONUNBUFFERED": ""}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        **{"capture_output": True, "text": True, "timeout": 60, **options},
    )


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("pass", 0, ""),
        ("raise UserError('lower it')", 2, "error: lower it\n"),
        ("sys.exit(143)", 143, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no room')", 1, "no room\n"),
        ("raise KeyboardInterrupt", 130, "interrupted; "),
        ("1 / 0", 1, "Traceback"),
    ],
)
def test_exit_codes_are_those_of_python(line: str, code: int, error: str) -> None:
    done = run(line)
    assert done.returncode == code
    assert done.stderr.startswith(error) if error else not done.stderr


def test_help_and_a_wrong_option_end_as_ever() -> None:
    for words, code in ((["--help"], 0), (["--wrong"], 2)):
        done = subprocess.run([sys.executable, SRC / "train.py", *words], capture_output=True)
        assert done.returncode == code


def test_what_waits_for_the_end_is_done() -> None:
    done = run(
        "atexit.register(print, 'registered')",
        "late = lambda: (time.sleep(0.3), print('from a thread'))",
        "threading.Thread(target=late).start()",
        "command.folder = tempfile.TemporaryDirectory()",
        "print(command.folder.name)",
        "print('no line end', end='')",
    )
    folder, rest = done.stdout.split("\n", 1)
    assert rest == "no line endfrom a thread\nregistered\n"
    assert not Path(folder).exists()
    assert done.returncode == 0


def test_no_process_that_was_started_stays() -> None:
    done = run(
        "context = multiprocessing.get_context('fork')",
        "child = context.Process(target=time.sleep, args=(600,), daemon=True)",
        "child.start()",
        "print(child.pid)",
    )
    assert done.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_packages_are_not_dismantled() -> None:
    """What takes the time: each object is freed by itself."""
    line = "command.kept = type('Kept', (), {'__del__': lambda self: os.write(1, b'freed')})()"
    assert run(line).stdout == ""


def test_a_reader_that_left_is_an_error_as_ever() -> None:
    here, there = os.pipe()
    os.close(here)
    done = run("print('nobody reads this')", capture_output=False, stdout=there)
    os.close(there)
    assert done.returncode == 120


def test_tests_that_call_a_command_go_on() -> None:
    """With words of its own a command is a part of another process, whose end it must not take."""
    waiting = atexit._ncallbacks()
    for call in (main, lambda words: run_command(evaluate.parser(), evaluate.command, words)):
        with pytest.raises(SystemExit):
            call(["evaluate", "--help"])
    assert atexit._ncallbacks() == waiting
