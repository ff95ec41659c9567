"""What the recipes became on images of one's own, to whose number they are fitted."""

from collections.abc import Iterable

from tcmbench.tables.names import backbone_title, dataset_title, loss_title
from tcmbench.tables.runs import MeasuredRun


def fitting(runs: Iterable[MeasuredRun]) -> list[str]:
    """Return how each dataset was split, and in which batches and how long each cell trained."""
    splits: dict[str, str] = {}
    plans: dict[str, str] = {}
    for run in runs:
        dataset = dataset_title(run.run.dataset, run.scale)
        splits[dataset] = (run.record.get("data") or {}).get("split", "not recorded")
        names = backbone_title(run.run.backbone), loss_title(run.run.loss)
        plans[", ".join((dataset, *names))] = _plan(run)
    return [
        "Images of one's own. "
        + " ".join(f"{name}: {rule}." for name, rule in sorted(splits.items())),
        "Recipes: as Recall@k's on CUB-200-2011, or as the small networks' on miniatures, in "
        "batches that the classes fill, with ten steps or more for an epoch of the recipe. "
        + " ".join(f"{cell}: {plan}." for cell, plan in sorted(plans.items())),
    ]


def _plan(run: MeasuredRun) -> str:
    plan = (run.record.get("config") or {}).get("optimization")
    if not plan:
        return "not recorded"
    samples = plan["samples_per_class"]
    steps = run.record.get("steps")
    taken = f"{steps:,} steps of " if isinstance(steps, int) else "batches of "
    return (
        f"{taken}{plan['batch_size']} images ({plan['batch_size'] // samples} classes, {samples} "
        f"images each) in {plan['epochs']} epochs"
    )
