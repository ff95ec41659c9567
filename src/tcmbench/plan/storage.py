"""What a suite downloads and keeps on disk."""

from collections.abc import Iterable
from dataclasses import dataclass

from tcmbench import datasets
from tcmbench.config import folds
from tcmbench.config.schema import Config
from tcmbench.plan.gpus import Gpu
from tcmbench.plan.network import BYTES, work_of
from tcmbench.preparation.job import cache_of
from tcmbench.preparation.space import archive_bytes, published_bytes, view_bytes
from tcmbench.training.settings import Settings


@dataclass(frozen=True)
class Storage:
    """Bytes to download, and bytes on disk once everything is there."""

    download: int
    disk: int


def storage_of(config: Config, settings: Iterable[Settings], gpu: Gpu) -> Storage:
    """Add up archives, start weights, images, decoded test images, and what runs leave.

    A miniature is made here and downloads nothing; its few megabytes are left out.

    Args:
        config: the checked configuration.
        settings: every run of the suite.
        gpu: where they run.
    """
    runs = list(settings)
    published = {folds.plain(run.dataset): run for run in runs if run.scale == "full"}
    archives = images = views = 0
    cache = cache_of((config["image_cache"] or {}).get("short_side"))
    for name, run in published.items():
        dataset = datasets.load(name)
        layout = dataset.layout(config["layouts"].get(name))
        archives += sum(archive_bytes(dataset, archive) for archive in layout.archives)
        images += published_bytes(dataset, cache)
        views += view_bytes(dataset, run.view.crop)
    fetched = {
        run.backbone: _weight_bytes(run, gpu)
        for run in runs
        if config["backbones"][run.backbone]["weights"] == "hub"
    }
    download = archives + sum(fetched.values())
    return Storage(download, download + images + views + sum(_kept_bytes(run, gpu) for run in runs))


def _kept_bytes(run: Settings, gpu: Gpu) -> int:
    """Weights and embeddings that a run leaves."""
    images = _scored_images(run.dataset) if run.scale == "full" else 0
    return _weight_bytes(run, gpu) + images * run.model.embedding_size * BYTES


def _scored_images(name: str) -> int:
    dataset, fold = folds.parsed(name)
    counts = datasets.load(dataset).counts
    return counts.train_images // fold.of if fold else counts.test_images


def _weight_bytes(run: Settings, gpu: Gpu) -> int:
    return work_of(run.model, run.view.crop, gpu.precision(run.compute.precision)).weights
