"""All results of a suite on one static page: table, claims, figures, provenance.

Nothing is measured or drawn here: what is there is shown, what is not is named.
"""

from tcmbench.page.write import write_page

__all__ = ["write_page"]
