"""Training images a second of one core: the real loader against Pillow alone, and other decoders.

python tests/benchmarks/bench_loader.py [--images 100] [--repeats 9] [--out FILE.csv]

Pillow alone decodes, crops, resizes and flips the same boxes and hands over an array; the loader
also draws the boxes and fills a batch. Each decoder opens the same files; "exact" says whether its
pixels are Pillow's to the bit. All take turns, in one process of one thread; processor time counts,
so that other work on the machine is left out as far as it can be.
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import numpy as np
import torch
from PIL import Image
from reference_file import reference_file
from torch import Tensor
from torchvision import io as vision
from torchvision import transforms

from tcmbench.images.loading import Draw, TrainingView, ViewSpec, load_batches
from tcmbench.preflight.photographs import photograph

SIZES = ((500, 375), (800, 600))
# The paper suite's recipe.
SPEC = ViewSpec(resize=256, crop=224, crop_scale=(0.08, 1.0), flip=0.5)
AT_ONCE = 100


def real(paths: list[Path], draws: list[Draw]) -> list[Tensor]:
    """What a training does in an epoch of a set that is too large to be kept in memory."""
    view = TrainingView(paths, SPEC)
    view.room = 0
    starts = range(0, len(draws), AT_ONCE)
    return list(load_batches(view, [draws[start : start + AT_ONCE] for start in starts]))


def plain(path: Path, box: tuple[int, ...], flipped: bool) -> np.ndarray:
    """The least that Pillow can do for the same pixels."""
    with Image.open(path) as image:
        cropped = image.crop(box).resize((SPEC.crop, SPEC.crop), Image.Resampling.BILINEAR)
    if flipped:
        cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(cropped)


def choices(image: Image.Image, seed: int) -> tuple[tuple[int, ...], bool]:
    """The box (left, top, right, bottom) and the flip that the loader draws by a seed."""
    torch.manual_seed(seed)
    cut = transforms.RandomResizedCrop(SPEC.crop, scale=SPEC.crop_scale)
    top, left, height, width = cut.get_params(image, list(cut.scale), list(cut.ratio))
    return (left, top, left + width, top + height), bool(torch.rand(1) < SPEC.flip)


def pillow(content: bytes, path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def torchvision_io(content: bytes, path: Path) -> np.ndarray:
    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return vision.decode_jpeg(data).permute(1, 2, 0).numpy()


def decoders() -> dict[str, Callable[[bytes, Path], np.ndarray]]:
    """Pillow's and others; those that are not installed are left out."""
    found: dict[str, Any] = {"Pillow": pillow, "torchvision.io": torchvision_io}
    try:
        import simplejpeg
    except ImportError:
        return found
    return found | {"simplejpeg": lambda content, path: simplejpeg.decode_jpeg(content)}


def seconds(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median processor seconds of each way; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.process_time()
            way()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def rows(folder: Path, size: tuple[int, int], images: int, repeats: int) -> list[dict[str, Any]]:
    """Measure photographs of one size."""
    paths = [folder / f"{size[0]}-{number}.jpg" for number in range(images)]
    contents = [photograph(*size, number) for number in range(images)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    draws = [Draw(row, 1000 + row) for row in range(images)]
    chosen = [choices(Image.new("RGB", size), draw.seed) for draw in draws]
    wanted = [plain(path, *one) for path, one in zip(paths, chosen, strict=True)]
    if not np.array_equal(torch.cat(real(paths, draws)).permute(0, 2, 3, 1), np.stack(wanted)):
        raise SystemExit("the loader's pixels are not Pillow's")
    opened = [pillow(content, path) for content, path in zip(contents, paths, strict=True)]
    ways: dict[str, Callable[[], object]] = {
        "Pillow alone": lambda: [plain(p, *one) for p, one in zip(paths, chosen, strict=True)],
        "loader": lambda: real(paths, draws),
    }
    exact: dict[str, bool] = {}
    for name, decode in decoders().items():
        found = [decode(content, path) for content, path in zip(contents, paths, strict=True)]
        label = f"decoder {name}"
        exact[label] = all(map(np.array_equal, found, opened))
        ways[label] = lambda decode=decode: [
            decode(content, path) for content, path in zip(contents, paths, strict=True)
        ]
    times = seconds(ways, repeats)
    floor = {name: "decoder Pillow" if name in exact else "Pillow alone" for name in ways}
    return [
        {
            "size": f"{size[0]}x{size[1]}",
            "way": name,
            "images_per_second": f"{images / taken:.0f}",
            "time_of_pillow": f"{taken / times[floor[name]]:.3f}",
            "exact": exact.get(name, True),
        }
        for name, taken in times.items()
    ]


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100, help="distinct (default 100)")
    parser.add_argument("--repeats", type=int, default=9, help="of each way (default 9)")
    parser.add_argument("--out", type=Path, help="default: results/reference/loader-*.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        table = [
            row
            for size in SIZES
            for row in rows(Path(folder), size, options.images, options.repeats)
        ]
    for row in table:
        print("  ".join(f"{value!s:>22}" for value in row.values()))
    with (options.out or reference_file("loader", "cpu")).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
