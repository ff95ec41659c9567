"""Pages and LaTeX from templates; every value is escaped where it is printed.

One folder holds all markup, style sheets and the script of the pages. It knows no run and no table:
what a template shows is handed to it as plain data, and a name it is not handed is an error.
"""

from tcmbench.templates.render import html, latex

__all__ = ["html", "latex"]
