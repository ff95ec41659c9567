"""The two environments: HTML, and LaTeX with marks of its own, as braces mean something there."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
LATEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"−": "$-$", "×": r"$\times$", "β": r"$\beta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    | {"†": r"$\dagger$", "‡": r"$\ddagger$", "≥": r"$\geq$", "·": r"$\cdot$", "ε": r"$\epsilon$"}
    | {"⁻": r"\textsuperscript{$-$}", "³": r"\textsuperscript{3}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
    # After a line break LaTeX would read these two as options of the break.
    | {"[": "{[}", "*": "{*}"}
)


def html(template: str, **data: Any) -> str:
    """Return a page; `{{ }}` prints a value, escaped.

    Raises:
        jinja2.UndefinedError: the template prints what `data` does not hold.
    """
    return _html().get_template(template).render(data)


def latex(template: str, **data: Any) -> str:
    """Return LaTeX; `<< >>` prints a value, escaped, and `<% %>` is a statement.

    Raises:
        jinja2.UndefinedError: the template prints what `data` does not hold.
    """
    return _latex().get_template(template).render(data)


@cache
def _html() -> "Environment":
    return _environment(autoescape=True)


@cache
def _latex() -> "Environment":
    marks = {
        "variable_start_string": "<<",
        "variable_end_string": ">>",
        "block_start_string": "<%",
        "block_end_string": "%>",
        "comment_start_string": "<#",
        "comment_end_string": "#>",
    }
    return _environment(
        autoescape=False, finalize=lambda value: str(value).translate(LATEX), **marks
    )


def _environment(**options: Any) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
