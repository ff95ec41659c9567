"""Web pages that come in place of a file: Google Drive's confirm page is followed, others named."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

TITLE_LENGTH = 80


def looks_like_page(start: bytes) -> bool:
    """Say whether the first bytes of a body are those of an HTML page."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower()
    return text.startswith((b"<!doctype html", b"<html"))


class Page(HTMLParser):
    """What a page offers: its title, and the address behind Google Drive's question.

    For a file too big for its virus scan, Drive asks for a confirmation, by a form with
    id="download-form" and hidden fields; until 2023 it was a link with `confirm=` in it.
    """

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self.title = ""
        self._address = address
        self._action: str | None = None
        self._fields: dict[str, str] = {}
        self._link: str | None = None
        self._inside = ""
        self.feed(text)
        self.title = " ".join(self.title.split())[:TITLE_LENGTH]

    @property
    def confirmed(self) -> str | None:
        """The address that a click would lead to; None where the page asks nothing.

        Another host is never followed: a page of whoever answers must not choose where we go.
        """
        if self._action is not None:
            base, _, query = self._action.partition("?")
            target = f"{base}?{urlencode(self._fields)}" if self._fields else f"{base}?{query}"
        elif self._link is not None:
            target = self._link
        else:
            return None
        address = urljoin(self._address, target)
        same = urlsplit(address).netloc == urlsplit(self._address).netloc
        return address if same else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is looked for (called by `feed`)."""
        given = {name: value or "" for name, value in attrs}
        if tag == "title":
            self._inside = "title"
        elif tag == "form":
            self._inside = "form" if given.get("id") == "download-form" else ""
            if self._inside:
                self._action = given.get("action", "")
        elif tag == "input" and self._inside == "form" and given.get("type") == "hidden":
            self._fields[given.get("name", "")] = given.get("value", "")
        elif tag == "a" and "confirm=" in given.get("href", ""):
            self._link = given["href"]

    def handle_endtag(self, tag: str) -> None:
        """Leave a title or a form (called by `feed`)."""
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Collect the title (called by `feed`)."""
        if self._inside == "title":
            self.title += data
