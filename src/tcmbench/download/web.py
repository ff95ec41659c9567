"""Requests by https and http."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from tcmbench.common.contents import page_called
from tcmbench.download.answers import (
    AGENT,
    AgainError,
    Answer,
    FailedError,
    RangeRefusedError,
    chunks,
    translated,
)
from tcmbench.download.drive import Page

PAGE_BYTES = 1 << 20
RETRIED = (408, 429)


@contextmanager
def web_answer(
    url: str,
    start: int,
    validator: str | None,
    timeout_s: float,
    *,
    last: int | None = None,
    page: bool = False,
) -> Iterator[Answer]:
    """Ask for the bytes of `url` from `start` on.

    Redirects are followed with the same headers, so that Hugging Face's storage gets the range too;
    Google Drive's question is answered once. Proxies and certificates are those of the environment.

    Args:
        url: https or http.
        start: how many bytes are there already.
        validator: the version that they are of, if it has to be the same one.
        timeout_s: how long nothing may arrive, seconds.
        last: the last byte that is wanted, counted from 0; default: to the end.
        page: the wanted file is itself a web page.

    Raises:
        FailedError: the address does not have the file; `AgainError` where another try may help.
        RangeRefusedError: it does not go on from `start`.
    """
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if start or last is not None:
        headers["Range"] = f"bytes={start}-{'' if last is None else last}"
    if start and validator:
        headers["If-Range"] = validator
    with requests.Session() as session:
        response = _ask(session, url, headers, timeout_s)
        if response.status_code == 206 and is_page(response) and not page:
            response.close()
            whole = {name: headers[name] for name in headers if "Range" not in name}
            response = _ask(session, url, whole, timeout_s)
        if response.status_code == 200 and is_page(response) and not page:
            address = confirmed(response)
            response = _ask(session, address, headers, timeout_s)
            if is_page(response):
                raise FailedError("it gave a web page instead of the file, twice")
        with closing(response):
            yield _understood(response, start, validator)


def is_page(response: requests.Response) -> bool:
    """Say whether an answer calls itself a web page."""
    return response.headers.get("Content-Type", "").strip().lower().startswith("text/html")


def confirmed(response: requests.Response) -> str:
    """Return the address behind the question that a page asks, or raise `FailedError`."""
    with translated(), closing(response):
        text = response.raw.read(PAGE_BYTES, decode_content=True)
    decoded = text.decode(errors="replace")
    page = Page(response.url, decoded)
    if page.confirmed is None:
        raise FailedError(f"it gave {page_called(decoded)} instead of the file")
    return page.confirmed


def content_range(value: str | None) -> tuple[int, int | None] | None:
    """Return start and total (None: not said) of a Content-Range; None where it makes no sense."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", (value or "").strip())
    if match is None:
        return None
    start, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < start or (total is not None and total <= last):
        return None
    return start, total


def _ask(
    session: requests.Session, url: str, headers: dict[str, str], timeout_s: float
) -> requests.Response:
    with translated():
        response = session.get(url, headers=headers, stream=True, timeout=timeout_s)
    code = response.status_code
    if code in (200, 206) or (code == 416 and "Range" in headers):
        return response
    response.close()
    message = f"HTTP {code} {response.reason or ''}".strip()
    if code in RETRIED or code >= 500:
        raise AgainError(message, _wait(response.headers.get("Retry-After")))
    raise FailedError(message)


def _understood(response: requests.Response, start: int, validator: str | None) -> Answer:
    headers = response.headers
    if response.status_code == 416:
        size = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
        raise RangeRefusedError(int(size[1]) if size else None)
    length = headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    version = headers.get("ETag", "")
    # A weak ETag does not promise equal bytes.
    version = headers.get("Last-Modified", "") if version.startswith("W/") else version
    version = version or headers.get("Last-Modified", "")
    if response.status_code == 206:
        found = content_range(headers.get("Content-Range"))
        if found is None or found[0] != start or (validator and version != validator):
            raise RangeRefusedError
        total = found[1]
    else:
        start = 0
    return Answer(start, total, version or None, chunks(response.raw.read1))


def _wait(asked: str | None) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or a date."""
    if asked is None:
        return None
    try:
        return Retry().parse_retry_after(asked)
    except InvalidHeader:
        return None
