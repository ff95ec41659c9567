"""The page in a real Chromium: sort, switch TCM, follow a link; narrow, dark, on paper."""

import base64
import re

import pytest

from tcmbench.page import write_page
from tcmbench.page.write import Material
from tests.page.browser import CHROMIUM, chromium
from tests.page.test_page import REPORT, draw, write_three
from tests.tables.run_folders import write_pair

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)")

COLUMN = 'th[data-column="{}"] button'
DATASET, RECALL, OPIS, RELATIVE = 0, 2, 5, 8
ROWS = "[...document.querySelector('table').tBodies[0].rows]"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    names = [f"utility_cub{look}" for look in ("", "_base", "_tcm")]
    draw(folder / "figures", "summary", *names, size=(7.0, 3.0))
    folders = write_three(folder)
    # A base that is perfect: its relative change is not known.
    folders += write_pair(folder, "cars196/resnet50/smooth_ap", base={"opis": 0.0})
    write_page(folders, "x", folder / "index.html", Material(folder / "figures", REPORT))
    return folder / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def opened(browser, page):
    browser.problems.clear()
    browser.requests.clear()
    browser.open(page)
    yield browser
    browser.run("1")
    assert browser.problems == []
    assert {url[:5] for url in browser.requests} <= {"file:", "data:"}


def column(browser, number):
    return browser.run(f"{ROWS}.map(row => row.cells[{number}].firstChild.textContent)")


def sorted_by(browser):
    return browser.run(
        "[...document.querySelectorAll('[aria-sort]')].filter(th => th.ariaSort != 'none')"
        ".map(th => [Number(th.dataset.column), th.ariaSort])"
    )


def seen(browser):
    return browser.run(
        "[...document.querySelectorAll('#utility_cub .variant')]"
        ".filter(div => div.offsetParent).map(div => div.ariaLabel)"
    )


def test_a_heading_sorts_by_its_numbers_up_and_down(opened):
    assert column(opened, OPIS) == ["4.00", "10.00", "0.00", "3.00"], "the order of print"
    assert sorted_by(opened) == []
    opened.click(COLUMN.format(OPIS))
    assert column(opened, OPIS) == ["0.00", "3.00", "4.00", "10.00"]
    assert sorted_by(opened) == [[OPIS, "ascending"]]
    opened.click(COLUMN.format(OPIS))
    assert column(opened, OPIS) == ["10.00", "4.00", "3.00", "0.00"]
    opened.click(COLUMN.format(RECALL))
    assert column(opened, RECALL)[-1] == "80.0"
    assert sorted_by(opened) == [[RECALL, "ascending"]]


def test_names_sort_as_words_and_unknown_values_stay_last(opened):
    opened.click(COLUMN.format(DATASET))
    assert column(opened, DATASET) == ["Cars196", "CUB-200-2011", "CUB-200-2011", "SOP"]
    for number in (1, 2):
        opened.click(COLUMN.format(RELATIVE))
        values = opened.run(f"{ROWS}.map(row => row.cells[{RELATIVE}].dataset.value)")
        known = [float(value) for value in values[:-1]]
        assert values[-1] == ""
        assert known == sorted(known, reverse=number == 2)


def test_the_keyboard_sorts_too(opened):
    opened.run(f"document.querySelector('{COLUMN.format(OPIS)}').focus()")
    opened.press("Enter", 13, "\r")
    assert sorted_by(opened) == [[OPIS, "ascending"]]
    opened.press(" ", 32, " ")
    assert sorted_by(opened) == [[OPIS, "descending"]]


def test_tcm_is_switched_on_and_off(opened):
    assert seen(opened) == ["utility_cub"]
    for value in ("base", "tcm"):
        opened.click(f"input[value={value}]")
        assert seen(opened) == [f"utility_cub_{value}"]
        shown = f"document.querySelector('#utility_cub .{value} img')"
        opened.wait(f"{shown}.complete && {shown}.naturalWidth > 0")
    opened.press("ArrowUp", 38)
    assert seen(opened) == ["utility_cub_base"]


def test_a_row_leads_to_its_run(opened):
    link = 'td a[href="#run-cub-resnet50-recall_at_k-tcm-seed0"]'
    folded = "document.querySelectorAll('details.run[open]').length"
    assert opened.run(folded) == 0
    opened.click(link)
    opened.wait(f"{folded} == 1")
    run = "document.querySelector('details.run[open]')"
    assert opened.run(f"{run}.id") == "run-cub-resnet50-recall_at_k-tcm-seed0"
    text = opened.run(f"{run}.innerText")
    assert re.search(r"OPIS\s+2 ×10⁻³", text)
    top = opened.run(f"{run}.getBoundingClientRect().top")
    assert 0 <= top < 900
    opened.call("Page.reload")
    opened.wait(f"document.readyState == 'complete' && {folded} == 1")


def test_a_phone_scrolls_tables_and_figures_not_the_page(opened, page):
    opened.open(page, 390, 844)
    assert opened.run("document.documentElement.scrollWidth") == 390
    caption = "document.querySelector('caption span').getBoundingClientRect()"
    assert opened.run(f"{caption}.right") <= 390
    assert opened.run("document.querySelector('.scroll').scrollWidth") > 390
    size = "getComputedStyle(document.querySelector('td')).fontSize"
    assert float(opened.run(size).removesuffix("px")) >= 13


def lightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_colours_follow_the_system(opened, page, scheme, dark):
    opened.open(page, scheme=scheme)
    style = "getComputedStyle(document.body)"
    paper, ink = (lightness(opened.run(f"{style}.{of}")) for of in ("backgroundColor", "color"))
    assert (paper < 60 and ink > 200) if dark else (paper > 200 and ink < 60)


def test_paper_shows_every_figure(opened, page):
    """Images that nobody scrolled to are printed as well, in light colours."""
    opened.open(page, scheme="dark")
    printed = base64.b64decode(opened.call("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    shown = "[...document.images].filter(image => image.offsetParent)"
    assert opened.run(f"{shown}.every(image => image.complete && image.naturalWidth > 0)")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert lightness(opened.run("getComputedStyle(document.body).color")) < 60
    assert opened.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    opened.call("Emulation.setEmulatedMedia", media="")
