"""The advice as files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from textwrap import shorten

import numpy as np

from tcmbench.advisor.advice import Advice, ClassRates
from tcmbench.advisor.drift import Drift
from tcmbench.advisor.page import page
from tcmbench.advisor.text import percent
from tcmbench.common.files import atomic_path, sha256
from tcmbench.common.provenance import provenance, write_record
from tcmbench.plots import style
from tcmbench.plots.threshold import Chosen, RateCurves, Worst, draw_threshold

SHOWN = 5


def write_advice(
    advice: Advice,
    embeddings: Path,
    out: Path,
    pictures: Mapping[int, Sequence[Path]] | None = None,
    applied: tuple[Path, Drift] | None = None,
) -> None:
    """Write into `out`, each whole: threshold.{json,html}, the picture, and classes.csv.

    Args:
        advice: what to write.
        embeddings: the file that it is about.
        out: folder.
        pictures: images of classes, by label; some of the worst are shown.
        applied: another file that the threshold was used on, and what came of it; its classes go
            into applied.csv.
    """
    other = (_short(applied[0]), _curves(applied[1].there)) if applied else None
    chosen = Chosen(advice.distance, advice.target, advice.rate)
    figure = draw_threshold(_curves(advice), chosen, _worst(advice, pictures or {}), other)
    style.save(figure, out, "threshold")
    write_classes(out / "classes.csv", advice.classes)
    content = advice.to_json()
    source = {**provenance(), "embeddings_sha256": sha256(embeddings)}
    if applied:
        write_classes(out / "applied.csv", applied[1].there.classes)
        content["applied"] = applied[1].to_json()
        source["applied_sha256"] = sha256(applied[0])
    with atomic_path(out / "threshold.html") as temporary:
        temporary.write_text(page(advice, embeddings.name), encoding="utf-8")
    write_record(out / "threshold.json", {**content, "provenance": source})


def write_classes(path: Path, classes: Sequence[ClassRates]) -> None:
    """Write a row for each class: label, name, images, far, frr (empty for one image)."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(ClassRates)])
        table.writerows(astuple(row) for row in classes)


def _curves(advice: Advice) -> RateCurves:
    rates = advice.around
    own = rates.positives @ np.nan_to_num(rates.frr) / rates.positives.sum()
    return RateCurves(
        rates.thresholds,
        {"far": rates.overall_far, "frr": own},
        {"far": rates.far, "frr": rates.frr},
    )


def _worst(advice: Advice, pictures: Mapping[int, Sequence[Path]]) -> list[Worst]:
    return [
        Worst(
            f"{shorten(row.name, 40, placeholder='…')}\nFAR {percent(row.far)}, "
            f"FRR {percent(row.frr)}",
            pictures[row.label],
        )
        for row in advice.worst[advice.target]
        if row.label in pictures
    ][:SHOWN]


def _short(path: Path) -> str:
    return shorten(path.name, 30, placeholder="…")
