"""Asking every mirror whether it still has its file, without fetching one."""

import ftplib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from tcmbench.datasets.base import Archive, Dataset
from tcmbench.download.answers import AGENT, FailedError, RangeRefusedError, translated
from tcmbench.download.web import is_page, web_answer

OK = "ok"
PAGE = "web page"
WRONG_SIZE = "wrong size"
BY_HAND = "by hand"
THREADS = 8


@dataclass(frozen=True, slots=True)
class Link:
    """What one mirror says of one file.

    Attributes:
        state: "ok", "wrong size", "web page", "by hand" (no mirror is known), or the trouble.
        size: bytes, None where the mirror does not say.
    """

    dataset: str
    file: str
    host: str
    url: str
    state: str
    size: int | None = None


def check(datasets: dict[str, Dataset], timeout_s: float) -> list[Link]:
    """Ask all mirrors of all layouts of some datasets, in their order, several at a time."""
    wanted = [
        (name, archive, url)
        for name, dataset in datasets.items()
        for archive in _archives(dataset)
        for url in archive.urls or ("",)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda item: probe(item[0], item[1], item[2], timeout_s), wanted))


def probe(dataset: str, archive: Archive, url: str, timeout_s: float) -> Link:
    """Ask one mirror; an empty address stands for a file without any."""
    if not url:
        return Link(dataset, archive.name, "", "", BY_HAND)
    state, size = OK, None
    try:
        size = _ftp_size(url, timeout_s) if url.startswith("ftp:") else _web_size(url, timeout_s)
        if archive.size is not None and size not in (None, archive.size):
            state = WRONG_SIZE
    except (FailedError, RangeRefusedError) as error:
        state = PAGE if PAGE in str(error) else str(error)
    return Link(dataset, archive.name, urlsplit(url).hostname or "", url, state, size)


def unreachable(links: Iterable[Link]) -> list[str]:
    """Return the files that have mirrors, but none that works, as "dataset/file"."""
    works: dict[str, bool] = {}
    for link in links:
        if link.state != BY_HAND:
            name = f"{link.dataset}/{link.file}"
            works[name] = works.get(name, False) or link.state == OK
    return [name for name, good in works.items() if not good]


def table(links: Iterable[Link]) -> str:
    """Return the links as lines of columns: dataset, file, host, state, size in bytes."""
    head = ("dataset", "file", "host", "state", "size")
    rows = [head]
    for link in links:
        size = "-" if link.size is None else f"{link.size:,}"
        rows.append((link.dataset, link.file, link.host or "-", link.state, size))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _archives(dataset: Dataset) -> list[Archive]:
    """Return every file of every layout once."""
    found = {a.name: a for layout in dataset.layouts.values() for a in layout.archives}
    return list(found.values())


def _web_size(url: str, timeout_s: float) -> int | None:
    """Return the size by a request for the head, else for the first byte."""
    with requests.Session() as session, translated():
        head = session.head(
            url,
            headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
            timeout=timeout_s,
            allow_redirects=True,
        )
    length = head.headers.get("Content-Length", "")
    if head.ok and not is_page(head) and length.isdecimal():
        return int(length)
    # Signed addresses often allow no HEAD, and Google Drive asks its question only of a GET.
    with web_answer(url, 0, None, timeout_s, last=0) as answer:
        return answer.total


def _ftp_size(url: str, timeout_s: float) -> int | None:
    address = urlsplit(url)
    try:
        with translated(), ftplib.FTP(timeout=timeout_s) as server:
            server.connect(address.hostname or "", address.port or ftplib.FTP_PORT)
            server.login()
            server.voidcmd("TYPE I")
            return server.size(address.path)
    except (ftplib.Error, EOFError) as error:
        raise FailedError(str(error) or "the connection ended") from None
