"""What was packed and what was found, for a terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tcmbench.bundles.findings import HOLDS, OPEN, Finding
from tcmbench.bundles.verify import Verdict


def packed_text(said: Iterable[dict[str, Any]], out: Path) -> str:
    """Return a line a run: what rounding its embeddings changed."""
    lines = []
    for one in said:
        lines.append(f"{one['run']}: embeddings {one['embeddings']}")
        if one["changes"] is not None:
            changes = ", ".join(
                f"{name} {value:+.2g}"
                for name, value in one["changes"].items()
                if value is not None
            )
            lines.append(f"  rounding errs by {one['largest_error']:.2g} at most; {changes}")
    size = out.stat().st_size / 1e6
    return "\n".join([*lines, f"{out}: {size:.1f} MB"])


def verdict_text(verdict: Verdict) -> str:
    """Return a table: each question, of how many runs it holds, and every exception by name."""
    findings = verdict.findings
    runs = list(dict.fromkeys(one.run for one in findings))
    hardware = ", ".join(map(str, verdict.content.get("hardware") or ()))
    lines = [
        f"{len(runs)} runs by {verdict.content['by']}, on {hardware}",
        "",
        f"{'':<16}{'holds':>6}{'fails':>6}{'open':>6}",
        f"{'seal':<16}{'yes':>6}",
    ]
    for question in dict.fromkeys(one.question for one in findings):
        asked = [one for one in findings if one.question == question]
        counts = [sum(one.verdict == kind for one in asked) for kind in (HOLDS, "FAILS", OPEN)]
        lines.append(f"{question:<16}" + "".join(f"{count:>6}" for count in counts))
    lines += ["", *_exceptions(findings)]
    return "\n".join(lines).rstrip()


def _exceptions(findings: list[Finding]) -> list[str]:
    """Name each failure, and each kind of open question once."""
    failed = [f"FAILS {one.run}: {one.question}: {one.detail}" for one in findings if _fails(one)]
    kinds: dict[tuple[str, str], int] = {}
    for one in findings:
        if one.verdict == OPEN:
            key = (one.question, one.detail)
            kinds[key] = kinds.get(key, 0) + 1
    return failed + [f"open  {q}: {why} ({count} runs)" for (q, why), count in kinds.items()]


def _fails(one: Finding) -> bool:
    return one.verdict not in (HOLDS, OPEN)
