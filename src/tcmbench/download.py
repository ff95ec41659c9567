"""Fetching a file whole, or not at all."""

import hashlib
import http.client
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.response import addinfourl

from tcmbench import __version__
from tcmbench.errors import UserError
from tcmbench.files import atomic_path
from tcmbench.progress import Progress

SCHEMES = ("https", "http", "ftp", "file")
CHUNK = 1 << 20
TIMEOUT_S = 60
MEGABYTE = 1e6


class _FailedError(Exception):
    """Why one address did not give the file."""


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
) -> None:
    """Bring a file to `target` from the first address that gives it, unless it is there already.

    The file is hashed while it arrives and gets its name only when it is the right one: by
    `sha256`, else by `md5`, else by `size` in bytes. Without a hash it is accepted with a warning
    that names its SHA-256. Proxies are taken from the environment.

    Raises:
        UserError: another file stands at `target`, or no address gives the right file.
    """
    start = partial(_Check, target.name, sha256, md5, size)
    if target.exists():
        _keep(target, start())
        return
    reasons = []
    for url in urls:
        try:
            with atomic_path(target) as temporary:
                _receive(url, temporary, start())
            return
        except _FailedError as error:
            reasons.append(f"{url}: {error}")
    raise UserError(
        f"could not fetch {target.name} ({'; '.join(reasons)}); try again later, or fetch it by "
        f"hand and put it at {target}"
    )


def _keep(target: Path, check: "_Check") -> None:
    with target.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            check.update(chunk)
    try:
        check.finish()
    except _FailedError as error:
        raise UserError(
            f"{target} is not the published file: {error}; remove it to download it again"
        ) from None


def _receive(url: str, temporary: Path, check: "_Check") -> None:
    with temporary.open("wb") as stream:
        for chunk in _chunks(url, check.name, check.size):
            stream.write(chunk)
            check.update(chunk)
    check.finish()


def _chunks(url: str, name: str, size: int | None) -> Iterator[bytes]:
    """Yield the body; only trouble with the address is caught here, not that of the consumer."""
    received = 0
    try:
        with _opened(url) as response:
            promised = int(response.headers.get("Content-Length", -1))
            total = size if promised < 0 else promised
            megabytes = total / MEGABYTE if total else None
            with Progress(megabytes, "MB", f"downloading {name}") as progress:
                while chunk := response.read(CHUNK):
                    yield chunk
                    received += len(chunk)
                    progress.update(len(chunk) / MEGABYTE)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _FailedError(str(error) or type(error).__name__) from None
    # http.client ends a broken body like a whole one when it is read in parts.
    if received < promised:
        raise _FailedError(f"the connection ended after {received:,} of {promised:,} bytes")


def _opened(url: str) -> addinfourl:
    if url.partition("://")[0].lower() not in SCHEMES:
        raise UserError(f"'{url}' is not an address; begin it with {'://, '.join(SCHEMES)}://")
    request = urllib.request.Request(url, headers={"User-Agent": f"tcm-bench/{__version__}"})
    response: addinfourl = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    return response


class _Check:
    """The identity of a file, computed while its bytes pass by."""

    def __init__(self, name: str, sha256: str | None, md5: str | None, size: int | None) -> None:
        self.name = name
        self.kind = "md5" if md5 and not sha256 else "sha256"
        self.expected = sha256 or md5
        self.size = size
        self.received = 0
        self._hash = hashlib.new(self.kind, usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.received += len(chunk)

    def finish(self) -> None:
        """Raise `_FailedError` where the file is another one; warn where nobody knows."""
        found = self._hash.hexdigest()
        amount = f"{self.received:,} bytes"
        if self.expected is None:
            if self.size not in (None, self.received):
                raise _FailedError(f"expected {self.size:,} bytes, got {amount}")
            print(
                f"warning: no hash is known for {self.name}; accepted as it is ({amount}, sha256 "
                f"{found})",
                file=sys.stderr,
            )
        elif found != self.expected.lower():
            raise _FailedError(f"expected {self.kind} {self.expected}, got {found} ({amount})")
