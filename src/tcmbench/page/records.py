"""Where each run comes from: the facts of its run.json."""

import json
from typing import Any

from tcmbench.common.provenance import portable
from tcmbench.page.names import anchor, run_title
from tcmbench.tables.runs import MeasuredRun

# Long lists that the figure of the training curves shows better.
DRAWN = ("epochs", "loss_curve")


def index_run(run: MeasuredRun) -> dict[str, Any]:
    """Return what the template of a run's section prints."""
    whole = {key: value for key, value in run.record.items() if key not in DRAWN}
    return {
        "anchor": anchor(run.folder),
        "title": run_title(run),
        "facts": [(name, value) for name, value in _facts(run) if value],
        "record": json.dumps(portable(whole), indent=1, ensure_ascii=False),
    }


def _facts(run: MeasuredRun) -> list[tuple[str, str]]:
    record, metrics = run.record, run.metrics
    git, hardware = record.get("git") or {}, record.get("hardware") or {}
    dirty = " with uncommitted changes" if git.get("dirty") else ""
    return [
        ("R@1", f"{100 * metrics['recall_at_1']:.2f} %"),
        ("OPIS", f"{1e3 * metrics['opis']:.4g} ×10⁻³"),
        ("ε-OPIS", f"{1e3 * metrics['epsilon_opis']:.4g} ×10⁻³"),
        ("Trained", _text(record.get("created"))),
        ("Code", f"commit {git['commit']}{dirty}" if git.get("commit") else "commit not recorded"),
        ("Machine", _text(hardware.get("gpu") or hardware.get("cpu"))),
        ("Precision", _text(record.get("precision"))),
        ("Time", _number(record.get("wall_time_s"), "s")),
        ("Speed", _number(record.get("images_per_second"), "images/s")),
        ("Peak memory", _number(record.get("peak_memory_mb"), "MB")),
        ("Parameters", _number(record.get("num_parameters"), "")),
        ("Data (SHA-256)", _text((record.get("data") or {}).get("sha256"))),
        ("Start weights (SHA-256)", _text(record.get("initial_weights_sha256"))),
        ("Weights (SHA-256)", _text(record.get("weights_sha256"))),
        ("Folder", portable(str(run.folder))),
    ]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    text = f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    return f"{text} {unit}".rstrip()
