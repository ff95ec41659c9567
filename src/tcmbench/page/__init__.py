"""All results of a suite on one static page: table, claims, figures, provenance."""

from tcmbench.page.write import write_page

__all__ = ["write_page"]
