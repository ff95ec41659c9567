"""A copy of the repository in which the code blocks of a page are run, one after another."""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

from tests.documents.pages import Block
from tests.workflow.checkout import VENV, Checkout

PASTED = re.compile(r'config\.yaml, right below "( *\w+:)"')
# What a page may hand to the shell, by the first words of a line.
COMMANDS = ("make ", "python ", "snakemake ", "tcmbench ")
# What pip writes for the entry point of pyproject.toml.
INSTALLED = "python -c 'from tcmbench.commands import main; main()' "


def needs_snakemake(block: Block) -> bool:
    """Say whether a block is for the workflow, or a command that starts it."""
    return block.language in ("yaml", "snakemake") or "snakemake " in block.code


def run(checkout: Checkout, block: Block, names: dict[str, Any]) -> str:
    """Do with a block what its page says; return what was printed.

    A block that begins with the name of a file is written there, one that names a line of
    config.yaml is pasted below it as it stands, other Python is executed among `names`, and lines
    of the shell are run: those of make and Snakemake dry.
    """
    if pasted := PASTED.fullmatch(block.title):
        _paste(checkout.folder / "config.yaml", pasted[1], block.code)
    elif re.fullmatch(r"[\w/]+\.(py|smk|yaml)", block.title):
        (checkout.folder / block.title).write_text(block.code)
    elif block.language == "python":
        printed = io.StringIO()
        with contextlib.chdir(checkout.folder), contextlib.redirect_stdout(printed):
            exec(compile(block.code, block.page, "exec"), names)
        return printed.getvalue()
    elif block.language == "":
        return "".join(_shell(checkout, line) for line in block.code.splitlines())
    else:
        assert block.language == "text", f"nothing runs this block of {block.page}:\n{block.code}"
        shown = [line for line in block.code.splitlines() if line.startswith(COMMANDS)]
        assert not shown, f"a command of {block.page} that nothing runs: {shown}"
    return ""


def _paste(path: Path, below: str, code: str) -> None:
    text = path.read_text()
    assert text.count(f"\n{below}\n") == 1, f"config.yaml has not one line '{below}'"
    path.write_text(text.replace(f"\n{below}\n", f"\n{below}\n{code}"))


def _shell(checkout: Checkout, line: str) -> str:
    line = line.partition("  #")[0]
    assert line.startswith(COMMANDS), f"nothing runs '{line}'"
    dry = re.sub(r"^(make|snakemake) ", r"\1 -n ", line)
    dry = re.sub(r"^tcmbench ", INSTALLED, dry)
    if line.startswith("make "):
        dry += f" VENV={shlex.quote(str(VENV))} -o {shlex.quote(str(VENV / '.ready'))}"
    done = checkout.run("bash", "-c", dry, PYTHONPATH="src")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, f"{dry}\n{printed[-3000:]}"
    return printed
