"""Code blocks of the documents that need the results of the quick suite."""

import pytest

from tests.documents.pages import PAGES, Block, blocks
from tests.documents.sandbox import run
from tests.workflow.checkout import QuickSuite

AFTER_QUICK = [
    block for page in PAGES for block in blocks(page) if block.mark == "run after: make quick"
]


@pytest.mark.parametrize("block", AFTER_QUICK, ids=lambda block: block.code.split()[1])
def test_a_block_runs_after_make_quick(quick: QuickSuite, block: Block) -> None:
    run(quick.checkout, block, {})
    # What they write stands beside the results, none of which is touched.
    assert quick.checkout.planned() == {}


def test_there_are_some() -> None:
    assert AFTER_QUICK
