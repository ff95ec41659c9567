"""Filling a part from one mirror, with as many tries as it deserves."""

import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import chain

from tcmbench.common.contents import PAGES, unlike
from tcmbench.common.errors import UserError
from tcmbench.common.progress import Progress
from tcmbench.download.answers import (
    CUT,
    AgainError,
    Answer,
    FailedError,
    RangeRefusedError,
    chunks,
    translated,
)
from tcmbench.download.identity import MEGABYTE
from tcmbench.download.part import Part
from tcmbench.download.patience import Patience
from tcmbench.download.web import web_answer

SCHEMES = ("https", "http", "ftp", "file")
TOLD_PAUSE_S = 10


def receive(url: str, part: Part, patience: Patience) -> None:
    """Bring `part` to the expected file with the bytes of one address.

    A broken transfer goes on where it broke, where the server allows it. Bytes pieced together from
    several answers that make a wrong file are thrown away, and the address gets one more chance
    from the first byte on.

    Raises:
        FailedError: the address does not give the file; what arrived stays, unless it is wrong.
        UserError: `url` is not an address, or the bytes cannot be written.
    """
    failures, most = 0, part.size
    rest_asked, started_over = not url.startswith("http"), False
    while not part.is_proven():
        try:
            _attempt(url, part, patience.timeout_s)
        except AgainError as error:
            failures = 1 if part.size > most else failures + 1
            most = max(most, part.size)
            if part.is_proven():  # the server promised too much, but sent all
                return
            if failures >= patience.tries:
                arrived = f"{part.size:,} bytes have arrived"
                raise FailedError(f"{error}, {failures} times in a row ({arrived})") from None
            _pause(url, patience.pause(failures, error.wait))
            continue
        problem = part.problem()
        if problem is None:
            return
        if part.is_short() and not rest_asked:  # the server may have promised too little
            rest_asked = True
        elif part.pieced and not started_over:
            part.restart()
            started_over, failures, most = True, 0, 0
        else:
            part.restart()
            raise FailedError(problem)


def _attempt(url: str, part: Part, timeout_s: float) -> None:
    """Add the bytes of one answer to the part, to the end that it promised."""
    known = part.expected.kind is not None
    validator = None if known else part.validator(url)
    start = part.size if known or validator else 0
    try:
        with _opened(url, start, validator, timeout_s, part) as answer:
            return _take(answer, url, part)
    except RangeRefusedError as refused:
        if refused.total == part.size:  # there is nothing more
            return None
    with _opened(url, 0, None, timeout_s, part) as answer:
        return _take(answer, url, part)


def _take(answer: Answer, url: str, part: Part) -> None:
    name, size = part.target.name, part.expected.size
    if part.expected.kind is None and None not in (size, answer.total) and size != answer.total:
        raise FailedError(f"expected {size:,} bytes, it announces {answer.total:,} bytes")
    # What is there already is only given up once something better arrives.
    first = next(answer.chunks, b"")
    if not answer.start and (other := unlike(first, name)):
        raise FailedError(f"it gave {other}")
    part.begin(url, answer.start, answer.validator)
    total = answer.total or size
    left = (total - answer.start) / MEGABYTE if total else None
    since = f" from {answer.start / MEGABYTE:,.0f} MB on" if answer.start else ""
    with Progress(left, "MB", f"downloading {name}{since}") as progress:
        for chunk in chain([first], answer.chunks):
            part.append(chunk)
            progress.update(len(chunk) / MEGABYTE)
    # http.client ends a broken body like a whole one when it is read in parts.
    if answer.total is not None and part.size < answer.total:
        raise AgainError(CUT)


def _opened(
    url: str, start: int, validator: str | None, timeout_s: float, part: Part
) -> AbstractContextManager[Answer]:
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise UserError(f"'{url}' is not an address; begin it with {'://, '.join(SCHEMES)}://")
    if scheme in ("https", "http"):
        return web_answer(url, start, validator, timeout_s, page=_wants_page(part))
    return _plain_answer(url, timeout_s)


@contextmanager
def _plain_answer(url: str, timeout_s: float) -> Iterator[Answer]:
    """Open an address by ftp or file, always from the first byte on."""
    try:
        with translated():
            stream = urllib.request.urlopen(url, timeout=timeout_s)
    except AgainError as error:
        if url.lower().startswith("file:"):
            raise FailedError(str(error)) from None
        raise
    with closing(stream):
        length = stream.headers.get("Content-Length")
        yield Answer(0, int(length) if length else None, None, chunks(stream.read))


def _wants_page(part: Part) -> bool:
    return part.target.name.lower().endswith(PAGES)


def _pause(url: str, seconds: float) -> None:
    if seconds >= TOLD_PAUSE_S:
        print(f"waiting {seconds:.0f} s before asking {url} again", file=sys.stderr, flush=True)
    time.sleep(seconds)
