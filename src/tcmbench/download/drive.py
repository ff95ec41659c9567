"""Google Drive's confirm page, which comes in place of a large file and is followed."""

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit


class Page(HTMLParser):
    """What a page offers: the address behind Google Drive's question.

    For a file too big for its virus scan, Drive asks for a confirmation, by a form with
    id="download-form" and hidden fields; until 2023 it was a link with `confirm=` in it.
    """

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self._address = address
        self._action: str | None = None
        self._fields: dict[str, str] = {}
        self._link: str | None = None
        self._inside = False
        self.feed(text)

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
        if tag == "form":
            self._inside = given.get("id") == "download-form"
            if self._inside:
                self._action = given.get("action", "")
        elif tag == "input" and self._inside and given.get("type") == "hidden":
            self._fields[given.get("name", "")] = given.get("value", "")
        elif tag == "a" and "confirm=" in given.get("href", ""):
            self._link = given["href"]

    def handle_endtag(self, tag: str) -> None:
        """Leave a form (called by `feed`)."""
        if tag == "form":
            self._inside = False
