"""What is said of a checked bundle: one finding a question and run."""

from dataclasses import dataclass

HOLDS, FAILS, OPEN = "holds", "FAILS", "open"


@dataclass(frozen=True, slots=True)
class Finding:
    """One question: of which run, what is asked, `holds`, `FAILS` or `open`, and why."""

    run: str
    question: str
    verdict: str
    detail: str


def judged(run: str, question: str, problem: str | None, detail: str = "") -> Finding:
    """Return a finding that fails where there is a problem."""
    return Finding(run, question, HOLDS if problem is None else FAILS, problem or detail)
