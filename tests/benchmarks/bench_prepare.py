"""Preparing a synthetic archive, against unpacking it by tar or unzip alone.

python tests/benchmarks/bench_prepare.py [--gigabytes 2] [--repeats 3] [--out FILE.csv]

The floor and the whole of prepare.py (start of Python, labels, checks, tables) alternate, so that
both meet the same machine; the archive is in the page cache and the disk is synced before each.
"""

import argparse
import csv
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "src")]

from tcmbench.preflight.photographs import album

DOOR = Path(__file__).parents[2] / "src" / "prepare.py"
DISTINCT = 200
PER_CLASS = 50


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2, help="of images (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="CSV file for the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = measure(Path(folder), arguments.gigabytes, arguments.repeats)
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if arguments.out:
        with arguments.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def measure(work: Path, gigabytes: float, repeats: int) -> list[dict[str, object]]:
    photographs = album(DISTINCT)
    count = int(gigabytes * 1e9 * DISTINCT / sum(map(len, photographs)))
    rows = []
    for dataset, pack in (("cub", pack_tar), ("sop", pack_zip)):
        archives = work / f"{dataset}-archives"
        archives.mkdir()
        archive, floor = pack(archives, photographs, count)
        for cache in ((), ("--short-side", "256")):
            rows.append(compare(dataset, archive, floor, cache, count, repeats, work))
        shutil.rmtree(archives)
    return rows


def compare(dataset, archive, floor, cache, count, repeats, work):
    out = work / "out"
    prepare = [sys.executable, str(DOOR), "--dataset", dataset, "--archives", str(archive.parent)]
    prepare += ["--out", str(out), "--no-count-check", *cache]
    seconds: dict[str, list[float]] = {"floor": [], "prepare": []}
    for _ in range(repeats):
        for name, command in (("floor", floor), ("prepare", prepare)):
            out.mkdir()
            os.sync()
            subprocess.run(["cat", archive], check=True, stdout=subprocess.DEVNULL)
            start = time.perf_counter()
            subprocess.run(command, check=True, cwd=out, stderr=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
            shutil.rmtree(out)
    base, ours = (statistics.median(seconds[name]) for name in ("floor", "prepare"))
    return {
        "archive": archive.suffix.removeprefix("."),
        "gigabytes": round(archive.stat().st_size / 1e9, 2),
        "images": count,
        "short_side": cache[1] if cache else "original",
        "floor": floor[0],
        "floor_s": round(base, 2),
        "prepare_s": round(ours, 2),
        "ratio": round(ours / base, 2),
        "images_per_s_per_core": round(count / ours / (os.cpu_count() or 1)),
        "runs": repeats,
    }


def pack_tar(folder: Path, photographs: list[bytes], count: int) -> tuple[Path, list[str]]:
    """Write an archive in the layout of CUB."""
    classes = [f"{c + 1:03}.Bird" for c in range(-(-count // PER_CLASS))]
    paths = [f"{classes[i // PER_CLASS]}/bird_{i:06}.jpg" for i in range(count)]
    tables = {
        "images": [f"{i + 1} {path}" for i, path in enumerate(paths)],
        "image_class_labels": [f"{i + 1} {i // PER_CLASS + 1}" for i in range(count)],
        "classes": [f"{c + 1} {name}" for c, name in enumerate(classes)],
    }
    target = folder / "CUB_200_2011.tgz"
    with tarfile.open(target, "w:gz", compresslevel=6) as tar:
        for name, lines in tables.items():
            _add(tar, f"CUB_200_2011/{name}.txt", "".join(f"{line}\n" for line in lines).encode())
        for i, path in enumerate(paths):
            _add(tar, f"CUB_200_2011/images/{path}", photographs[i % len(photographs)])
    return target, ["tar", "xzf", str(target)]


def pack_zip(folder: Path, photographs: list[bytes], count: int) -> tuple[Path, list[str]]:
    """Write an archive in the layout of SOP."""
    target = folder / "Stanford_Online_Products.zip"
    root = "Stanford_Online_Products/"
    half = count // PER_CLASS // 2 * PER_CLASS
    rows = [f"{i + 1} {i // PER_CLASS + 1} 1 chair_final/{i:06}.JPG\n" for i in range(count)]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, part in (("train", rows[:half]), ("test", rows[half:])):
            header = "image_id class_id super_class_id path\n"
            bundle.writestr(f"{root}Ebay_{name}.txt", header + "".join(part))
        for i in range(count):
            name = f"{root}chair_final/{i:06}.JPG"
            bundle.writestr(name, photographs[i % len(photographs)])
    return target, ["unzip", "-q", str(target)]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main()
