"""A short table of the metrics, for a terminal."""

from collections.abc import Iterator
from typing import Any


def text(metrics: dict[str, Any]) -> str:
    """Return what is looked at first of a metrics.json, a line a number."""
    lines = list(_lines(metrics))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _lines(metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    alone = metrics["num_excluded_classes"]
    counted = f"{metrics['num_images']:,} of {metrics['num_classes']:,} classes"
    yield "images", counted + (f", {alone:,} of them of one image" if alone else "")
    for k, recall in sorted(((int(k), value) for k, value in metrics["recall_at_k"].items())):
        if k in (1, 10, 100):
            yield f"R@{k}", f"{100 * recall:.2f} %"
    if metrics["map_at_r"] is not None:
        yield "MAP@R", f"{100 * metrics['map_at_r']:.2f} %"
    yield "OPIS", _thousandths(metrics["opis"])
    yield f"{100 * metrics['epsilon']:g}%-OPIS", _thousandths(metrics["epsilon_opis"])
    near, far = (f"{end:.4f}" for end in (metrics["d_min"], metrics["d_max"]))
    high, low = (f"{end:.4f}" for end in metrics["cosine_range"])
    yield "calibration range", f"distance {near} to {far}, cosine {high} to {low}"
    name = "far" if metrics["far_range"] else "frr"
    ends = " to ".join(f"{100 * end:g} %" for end in metrics[f"{name}_range"])
    yield "", f"false {'accept' if name == 'far' else 'reject'} rates {ends}"


def _thousandths(value: float) -> str:
    return f"{1e3 * value:.4g} x 10^-3"
