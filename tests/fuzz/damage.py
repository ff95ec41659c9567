"""Bytes that are almost a file of some format, and what has to hold for whatever reads them."""

import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tcmbench.common.errors import UserError

#: Examples of each format: seconds in CI; `FUZZ_EXAMPLES=5000 pytest tests/fuzz` looks longer.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    # What hangs meets the limit of every test, which no `except Exception` swallows.
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return a file cut, with bytes overwritten, or with a piece repeated, left out or replaced."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        size = draw(st.integers(1, 64))
        match draw(st.sampled_from(["cut", "bit", "bytes", "repeat", "drop", "insert"])):
            case "cut":
                del content[at:]
            case "bit" if content:
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                content[at : at + 4] = draw(st.sampled_from(EXTREMES))
            case "repeat":
                content[at:at] = content[at : at + size]
            case "drop":
                del content[at : at + size]
            case "insert":
                content[at:at] = draw(st.binary(max_size=16))
    return bytes(content)


EXTREMES = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"9999", b"-1e9"]


def harmless(read: Callable[[Path], object], path: Path, content: bytes) -> bool:
    """Read a file; say whether it was accepted. Anything but a refusal in one sentence fails.

    Nothing may be written but below the folder `out` beside the file.
    """
    path.write_bytes(content)
    before = _below(path.parent)
    try:
        read(path)
    except (UserError, OSError):  # each becomes one line and exit code 2
        accepted = False
    else:
        accepted = True
    assert _below(path.parent) == before
    return accepted


def _below(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {str(path) for path in found if path.parts[0] != "out"}
