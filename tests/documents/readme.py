"""README's text, and the parts of it that tests look at."""

import re

from tests.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language, text=README):
    """The code blocks of a language; '' for those without one."""
    # All are found first: the end of a block looks like the beginning of one without a language.
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for tag, block in found if tag == language]


def region(name):
    """What stands between the two comments that name a region."""
    return re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", README, re.DOTALL)[1]
