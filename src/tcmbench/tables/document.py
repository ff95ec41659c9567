"""One HTML page that needs nothing else: no script, no network; on paper, phone, in the dark."""

from collections.abc import Iterable
from html import escape

from tcmbench.tables.style import CSS

# The two colours of a change, in words.
KEY = '<span class="key"><span class="better">better</span> <span class="worse">worse</span></span>'


def document(title: str, body: str, head: str = "") -> str:
    """Return a whole page around `body`; both it and `head` are HTML, `title` is plain text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{CSS}
</style>
{head}
</head>
<body>
<h1>{escape(title)}</h1>
{body}
</body>
</html>
"""


def scrolled(label: str, table: str) -> str:
    """Return a table that scrolls sideways by itself where the window is narrow."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">\n'
        f"<table>\n{table}\n</table>\n</div>"
    )


def notes_list(notes: Iterable[str]) -> str:
    """Return the sentences below a table."""
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">\n{items}\n</ul>'
