"""What comes of one request: bytes, or why there are none."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests import exceptions
from urllib3.exceptions import HTTPError, IncompleteRead

from tcmbench import __version__
from tcmbench.download.identity import CHUNK

CUT = "the connection ended early"
AGENT = f"tcm-bench/{__version__}"
# Most of these are ValueErrors too; each comes of the address, so asking again changes nothing.
HOPELESS = (ValueError, exceptions.TooManyRedirects)
PASSING = (OSError, http.client.HTTPException, HTTPError)


class FailedError(Exception):
    """Why a mirror did not give the file."""


class AgainError(FailedError):
    """Trouble that may pass; `wait` is the pause in seconds that the server asks for."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RangeRefusedError(Exception):
    """The server does not go on from there; `total` is the file's size where it says so."""

    def __init__(self, total: int | None = None) -> None:
        super().__init__("range refused")
        self.total = total


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes from `start` on; `total` is the whole file's size, where it is said.

    `validator` names the version of the file (ETag or date), where the server does.
    """

    start: int
    total: int | None
    validator: str | None
    chunks: Iterator[bytes]


@contextmanager
def translated() -> Iterator[None]:
    """Turn trouble with an address into `AgainError`, or `FailedError` where it will not pass."""
    try:
        yield
    except HOPELESS as error:
        raise FailedError(_reason(error)) from None
    except PASSING as error:
        hopeless = isinstance(_root(error), ssl.SSLCertVerificationError)
        raise (FailedError if hopeless else AgainError)(_reason(error)) from None


def chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield a body; only trouble with reading is translated, not that of the consumer."""
    while True:
        with translated():
            chunk = read(CHUNK)
        if not chunk:
            return
        yield chunk


def _reason(error: BaseException) -> str:
    """Return the words of the first cause: those of requests repeat the address and Python."""
    root = _root(error)
    if isinstance(root, IncompleteRead | http.client.IncompleteRead):
        return CUT
    words = getattr(root, "strerror", None) or str(getattr(root, "reason", root)) or repr(root)
    return f"the proxy: {words}" if isinstance(error, exceptions.ProxyError) else words


def _root(error: BaseException) -> BaseException:
    inner = error.__cause__ or error.__context__
    # Beyond these lies what was going on when the request was made.
    return _root(inner) if isinstance(inner, (*PASSING, ValueError)) else error
