"""Templates: every value is escaped, none is forgotten, and no markup stands anywhere else."""

import re
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from tcmbench import templates
from tcmbench.templates import render
from tests.paths import SRC

HOSTILE = "<script>alert('1')</script> & \"x\""
CLAIM = dict.fromkeys(("id", "claim", "paper", "ours", "interval", "look", "verdict", "why"), "")


def claims(**row: str) -> dict[str, object]:
    parts = {"title": "t", "header": ["h"], "rows": [CLAIM | row], "sentences": ["s"]}
    return {"title": "Page", "claims": parts}


class Texts(HTMLParser):
    """What a reader sees, and the tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_html_shows_a_value_literally():
    page = Texts(templates.html("claims.html", **claims(why=HOSTILE)))
    assert HOSTILE in page.texts
    assert "script" not in page.tags


def test_html_attributes_are_closed_by_nobody_else():
    page = templates.html("claims.html", **claims(id='" onclick="x'))
    assert 'id="claim-&#34; onclick=&#34;x"' in page


def test_a_forgotten_value_is_an_error():
    data = claims()
    data["claims"]["rows"][0].pop("why")
    with pytest.raises(UndefinedError, match="why"):
        templates.html("claims.html", **data)
    template = render._latex().from_string("<< text >>")
    with pytest.raises(UndefinedError, match="text"):
        template.render()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("50 % & $5 #1 a_b {x}", r"50 \% \& \$5 \#1 a\_b \{x\}"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("−1.5 ↓ ×10⁻³", r"$-$1.5 $\downarrow$ $\times$10\textsuperscript{$-$}\textsuperscript{3}"),
        # After a line break these two would be options of the break.
        ("[x]*", "{[}x]{*}"),
        (7, "7"),
    ],
)
def test_latex_escapes_every_value(text, printed):
    template = render._latex().from_string("{\\bf << text >>}<# a note #>")
    assert template.render(text=text) == f"{{\\bf {printed}}}"


def test_markup_and_escaping_stand_in_templates_alone():
    tags = re.compile(r"</?(?:table|tr|td|th|p|div|span|ul|li|h[1-6]|details|figure|small)\b")
    for file in SRC.rglob("*.py"):
        text = file.read_text()
        assert "html import escape" not in text, file
        if "templates" not in file.parts:
            assert not tags.search(text), f"{file} holds markup; put it into a template"
