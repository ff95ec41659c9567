"""The documents: README, CONTRIBUTING and docs/, and the parts of them that tests look at."""

import re
from dataclasses import dataclass

from tests.paths import ROOT

NAMES = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)
PAGES = {name: (ROOT / name).read_text() for name in NAMES}
README = PAGES["README.md"]
# Found in one go: the end of a block looks like the beginning of one without a language.
BLOCK = re.compile(
    r"(?:^<!-- ((?:not run|run after): [^>]+) -->\n)?^```(\w*)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code; `mark` is the comment above it that says why it does not run here."""

    page: str
    mark: str
    language: str
    code: str

    @property
    def title(self) -> str:
        """What the first line says, where it is a comment: the file that the block stands for."""
        return self.code[2:].partition("\n")[0] if self.code.startswith("# ") else ""


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page, in its order."""
    return [Block(page, *parts) for parts in BLOCK.findall(PAGES[page])]


def region(page: str, name: str) -> str:
    """Return what stands between the two comments that name a region."""
    wanted = rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->"
    found = re.search(wanted, PAGES[page], re.DOTALL)
    assert found, f"{page} has no region '{name}'"
    return found[1]


def without_blocks(page: str) -> str:
    """Return a page's prose and tables."""
    return BLOCK.sub("", PAGES[page])


def anchors(page: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
