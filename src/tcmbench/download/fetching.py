"""The way of one file: there already, or from the first mirror that gives it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tcmbench.common.errors import UserError
from tcmbench.common.files import in_folder
from tcmbench.common.locks import exclusive
from tcmbench.download.identity import Digest, Expected
from tcmbench.download.part import Part
from tcmbench.download.patience import Patience
from tcmbench.download.receipts import BY_HAND, Receipt, read_receipt
from tcmbench.download.trust import Trust


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    receipts: Path | None = None,
    trust: Trust | None = None,
    patience: Patience | None = None,
    replace: bool = False,
) -> None:
    """Bring a file to `target` from the first address that gives it, unless it is there already.

    The file is hashed while it arrives and gets its name only when it is the right one: by
    `sha256`, else by `md5`, else by the hash that `trust` keeps, else by `size` in bytes and by the
    first bytes, which must be what the name promises. What has arrived stays in `.NAME.part` beside
    it, and the next call goes on from there.

    A file that is there is read and checked, but not if a receipt of an earlier check says that it
    had the expected hash, and its size and time of change are still those of the receipt.

    Args:
        urls: mirrors, the best first: https, http, ftp or file. Proxies are taken from the
            environment.
        target: the file's final place.
        sha256: published hash, hex.
        md5: published hash, hex.
        size: published size in bytes.
        receipts: folder for `NAME.verified.json`; default: that of `target`.
        trust: where the hash of a file without a published one is kept.
        patience: limits of each mirror.
        replace: whether another file that stands at `target` gives way instead of being refused.

    Raises:
        UserError: another file stands at `target` and may not be replaced, no address gives the
            right file, or it cannot be written.
    """
    job = _Job(target, Expected(sha256, md5, size), receipts or target.parent, trust, replace)
    if job.is_there():
        return
    if not urls:
        raise UserError(
            f"{target.name} has no public address: fetch it by hand, put it at {target} and call "
            "again"
        )
    part = target.with_name(f".{target.name}.part")
    with exclusive(target, f"downloads {target.name}", part=part):
        if not job.is_there():
            job.download(urls, patience or Patience())


class _Job:
    """One file and all that decides about it."""

    def __init__(
        self,
        target: Path,
        published: Expected,
        receipts: Path,
        trust: Trust | None,
        replace: bool,
    ) -> None:
        self.target = target
        self.published = published
        self.receipts = receipts
        self.replace = replace
        self.trust = None if published.kind else trust

    def expected(self) -> Expected:
        """Return what has to be found by now: another process may have recorded its hash."""
        return self.trust.expected(self.published.size) if self.trust else self.published

    def is_there(self) -> bool:
        """Say whether the right file is in its place; leave a receipt.

        Raises:
            UserError: another file is there and may not be replaced; it stays as it is.
        """
        place = in_folder(self.target.parent, self.target.name)
        if not place.exists():
            return False
        expected = self.expected()
        receipt = read_receipt(self.receipts, self.target.name)
        if receipt and receipt.covers(place, expected):
            self._accept(receipt.sha256, receipt.bytes, receipt.source)
            return True
        digest = expected.digest()
        digest.read(place, self.target.name)
        if problem := expected.problem(digest, place, self.target.name):
            if self.replace:
                return False
            raise UserError(
                f"{place} is not the published file: {problem}; remove it to download it again"
            )
        self._accept(digest.hex("sha256"), digest.bytes, BY_HAND)
        self._certify(digest, BY_HAND, place)
        return True

    def download(self, urls: Sequence[str], patience: Patience) -> None:
        """Bring the file from the first address that gives it."""
        # Only a real transfer needs requests: the Snakefile reads this room without it.
        from tcmbench.download.answers import FailedError
        from tcmbench.download.transfer import receive

        reasons = []
        with Part(self.target, self.expected()) as part:
            for url in urls:
                try:
                    receive(url, part, patience)
                except FailedError as error:
                    reasons.append(f"{url}: {error}")
                else:
                    self._publish(part, url)
                    return
        raise UserError(
            f"could not fetch {self.target.name} ({'; '.join(reasons)}); try again later, or fetch "
            f"it by hand and put it at {self.target}"
        )

    def _publish(self, part: Part, url: str) -> None:
        part.sync()
        self._accept(part.digest.hex("sha256"), part.size, url)
        part.publish()
        self._certify(part.digest, url, self.target)

    def _accept(self, sha256: str, size: int, source: str) -> None:
        """Keep the hash of a file that has no published one, or warn that nobody does."""
        if self.published.kind:
            return
        kept = f"kept in {self.trust.file}" if self.trust else "not kept"
        if self.trust is None or self.trust.record(sha256, size, source):
            print(
                f"warning: no hash is known for {self.target.name}; accepted as it is ({size:,} "
                f"bytes, sha256 {sha256}, {kept})",
                file=sys.stderr,
            )

    def _certify(self, digest: Digest, source: str, place: Path) -> None:
        published = self.published.kind is not None
        name = self.target.name
        Receipt.of(place, digest, source, name=name, published=published).write(self.receipts)
