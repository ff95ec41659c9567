"""What all figures share: sizes, colours, and how they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcmbench.common.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Widths in inches: the text width of a page and of one of two columns.
FULL, COLUMN = 7.0, 3.3
DPI = 200

# Okabe and Ito's palette, told apart by colour-blind readers too.
INK, GREY, LIGHT = "#1a1a1a", "#6b6b6b", "#e4e4e4"
# Each colour means one thing in all figures: base or +TCM, better or worse (also right or wrong),
# and measured elsewhere. Networks and losses are told apart by shape and fill.
VARIANT_COLOURS = {"base": "#E69F00", "tcm": "#0072B2"}
BETTER, WORSE = "#009E73", "#D55E00"
ELSEWHERE = "#CC79A7"
SHAPES = ("o", "s", "^", "D", "v", "P", "*", "X")
# Of filled marks, so that the edge of one shows through another at the same place.
SEEN_THROUGH = 0.4

# Typed loosely: matplotlib's stubs list every key by name.
SETTINGS: Any = {
    "font.family": "sans-serif",
    # Verdana has the widths of DejaVu, which is where a browser without DejaVu goes next.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "figure.titlesize": 8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    # Names are printed as they are: a $ in one is no formula.
    "text.parse_math": False,
    # Text stays text: searchable, and editable in a vector program.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # Each figure says by itself how it is arranged.
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    # Names inside an SVG are random unless salted; equal input shall give equal bytes.
    "svg.hashsalt": "tcm-bench",
}
METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of this project; leaves matplotlib's own settings as they were."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS):
        yield


def shape(names: Sequence[str], name: str) -> str:
    """Return the shape of one of several names."""
    return SHAPES[names.index(name) % len(SHAPES)]


def variant_mark(variant: str) -> dict[str, Any]:
    """Return how a mark of a variant looks: base open and wide, so that +TCM fits into it."""
    colour = VARIANT_COLOURS[variant]
    filled = variant == "tcm"
    return {
        "linestyle": "none",
        "color": colour,
        "markerfacecolor": (colour, SEEN_THROUGH) if filled else "none",
        "markersize": 4.5 if filled else 6.5,
        "markeredgewidth": 1.0,
    }


def logarithmic(axes: "Axes", name: str) -> None:
    """Give an axis ("x" or "y") a logarithmic scale with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def save(figure: "Figure", folder: Path, name: str) -> None:
    """Write `folder/name` as .svg, .pdf and .png, each whole or not at all, with no time in it."""
    with styled():
        # Arranged once, as each format would do it again, and in fine steps: the widths of
        # letters are whole pixels.
        figure.set_dpi(DPI)
        figure.draw_without_rendering()
        # None, not "none": with any engine left, each format draws the figure twice.
        figure.set_layout_engine(None)
        for suffix, metadata in METADATA.items():
            with atomic_path(folder / f"{name}.{suffix}") as temporary:
                figure.savefig(temporary, dpi=DPI, metadata=metadata)
