"""A comparison as files."""

from pathlib import Path

from tcmbench.common.files import sha256
from tcmbench.common.provenance import provenance, write_record
from tcmbench.compare.differences import Comparison
from tcmbench.compare.text import SHOWN, titles, verdict
from tcmbench.plots import style
from tcmbench.plots.compare import Interval, Side, draw_compare


def write_comparison(found: Comparison, files: tuple[Path, Path], out: Path) -> None:
    """Write compare.json (with provenance) and the figure compare.{svg,pdf,png} into `out`."""
    first, second = files
    intervals = [
        Interval(
            f"{title} ({SHOWN[name][1].replace('x 10^-3', '×10⁻³')})",
            SHOWN[name][0] * one.change,
            one.interval and (SHOWN[name][0] * one.interval[0], SHOWN[name][0] * one.interval[1]),
            one.verdict,
        )
        for name, title in titles(found).items()
        for one in [found.differences[name]]
    ]
    sides = [
        Side(f"{letter}: {path.name}", thresholds, utility)
        for letter, path, thresholds, utility in zip(
            "AB", files, found.thresholds, found.utility, strict=True
        )
    ]
    style.save(draw_compare(sides, intervals, verdict(found, "A", "B")), out, "compare")
    source = {**provenance(), "a_sha256": sha256(first), "b_sha256": sha256(second)}
    content = {
        "a": first.name,
        "b": second.name,
        "verdict": verdict(found, "A", "B"),
        **found.to_json(),
        "provenance": source,
    }
    write_record(out / "compare.json", content)
