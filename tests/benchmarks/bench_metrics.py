"""Time and memory of one pass over all pairs, against one full matrix product and other tools.

    python tests/benchmarks/bench_metrics.py --size cub cars n12k [--peers] [--csv FILE]

Everything compared runs by turns in one process; the table gives medians of seconds, and ratios.
Embeddings are synthetic (latent clusters in 64 dimensions, with super-classes and class-dependent
spread, laid into 512), so their scores mean nothing; costs and equalities do.
"""

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from tcmbench.metrics import evaluate_all_pairs

#: Images and classes of each test set.
SIZES = {
    "cub": (5924, 100),
    "cars": (8131, 98),
    "n12k": (12_000, 220),
    "sop": (60_502, 11_316),
    "inat": (136_093, 2452),
}
GROWTH = {f"{n}": (n, n // 55) for n in (5000, 10_000, 20_000, 40_000, 80_000)}
WIDTH = 512
STRIP = 1 << 28
KS = (1, 2, 4, 8, 10, 16, 100, 1000)
COLUMNS = (
    *("size", "images", "classes", "threads", "runs", "product_s", "pass_s", "pass_over_product"),
    *("product_cpu_s", "pass_cpu_s", "pass_over_product_cpu", "one_pass"),
)
PEERS = ("naive_s", "naive_over_pass", "faiss_s", "pass_over_faiss")


def synthetic(count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows [N, 512] in random order, and labels; at least two images a class, a long tail."""
    draw = np.random.default_rng(0)
    weights = draw.lognormal(sigma=0.5, size=classes)
    sizes = 2 + draw.multinomial(count - 2 * classes, weights / weights.sum())
    labels = draw.permutation(np.repeat(np.arange(classes), sizes))
    groups = draw.normal(size=(max(classes // 12, 2), 64))
    centres = groups[draw.integers(0, len(groups), classes)] + 0.9 * draw.normal(size=(classes, 64))
    spread = np.exp(draw.normal(-0.1, 0.3, size=(classes, 1)))
    axes = np.linalg.qr(draw.normal(size=(WIDTH, 64)))[0].T
    rows = np.empty((count, WIDTH), np.float32)
    for part in np.array_split(np.arange(count), max(count // 8192, 1)):
        own = labels[part]
        latent = (centres[own] + spread[own] * draw.normal(size=(len(part), 64))) @ axes
        rows[part] = latent / np.linalg.norm(latent, axis=1, keepdims=True)
    return rows, labels


def full_product(rows: torch.Tensor) -> None:
    """Multiply all rows with all rows in float32, in strips as large as 1 GB, and keep nothing.

    Larger than the pass's own tiles: the form that this machine multiplies fastest.
    """
    strip = min(len(rows), STRIP // len(rows))
    buffer = rows.new_empty(strip, len(rows))
    for left in rows.split(strip):
        torch.mm(left, rows.T, out=buffer[: len(left)])
    if rows.is_cuda:
        torch.cuda.synchronize()


def naive(rows: np.ndarray, labels: np.ndarray) -> None:
    """OPIS and R@1 as one would write them down: the whole matrix, a loop over classes."""
    distance = np.sqrt(np.maximum(2 - 2 * (rows @ rows.T), 0))
    same = labels[:, None] == labels
    once = np.triu(np.ones_like(same), 1)
    ends = np.quantile(distance[once & ~same], (0.01, 0.1))
    utility = []
    for name in np.unique(labels):
        inside = labels == name
        within = distance[np.ix_(inside, inside)][np.triu_indices(inside.sum(), 1)]
        across = distance[np.ix_(inside, ~inside)]
        for threshold in np.linspace(*ends, 101):
            sensitivity, specificity = (within <= threshold).mean(), (across > threshold).mean()
            utility.append(2 * sensitivity * specificity / max(sensitivity + specificity, 1e-12))
    np.reshape(utility, (-1, 101)).var(axis=0).mean()
    np.fill_diagonal(distance, np.inf)
    (labels[distance.argmin(axis=1)] == labels).mean()


def faiss_search(rows: np.ndarray) -> None:
    """The two nearest of every row, which give R@1 alone."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(WIDTH)
    index.add(rows)
    index.search(rows, 2)


def timed(work) -> tuple[float, float]:
    """Seconds by the clock, and of all processors, which a busy machine shows better."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def measure(name: str, count: int, classes: int, options: argparse.Namespace) -> dict:
    rows, labels = synthetic(count, classes)
    on_device = torch.from_numpy(rows).to(options.device)
    found = []
    work = {
        "product_s": lambda: full_product(on_device),
        "pass_s": lambda: found.append(evaluate_all_pairs(on_device, labels, KS, exact=False)),
    }
    if options.peers:
        work["faiss_s"] = lambda: faiss_search(rows)
        if count < 10_000:
            work["naive_s"] = lambda: naive(rows, labels)
    seconds = {key: [] for key in work}
    for _ in range(options.runs):
        for key, job in work.items():
            seconds[key].append(timed(job))
    row = {key: float(np.median([took for took, _ in pairs])) for key, pairs in seconds.items()}
    for key in ("product", "pass"):
        row[f"{key}_cpu_s"] = float(np.median([took for _, took in seconds[f"{key}_s"]]))
    row |= {"size": name, "images": count, "classes": classes, "one_pass": found[-1].one_pass}
    row |= {"threads": torch.get_num_threads(), "runs": options.runs}
    row["pass_over_product"] = row["pass_s"] / row["product_s"]
    row["pass_over_product_cpu"] = row["pass_cpu_s"] / row["product_cpu_s"]
    if "naive_s" in row:
        row["naive_over_pass"] = row["naive_s"] / row["pass_s"]
    if "faiss_s" in row:
        row["pass_over_faiss"] = row["pass_s"] / row["faiss_s"]
    if options.memory:
        row["peak_mb"] = peak_in_child(count, classes)
    return row


def warm_up(device: str) -> None:
    """Compile kernels and load libraries, which the first measured run is not to pay for."""
    rows, labels = synthetic(5000, 90)
    on_device = torch.from_numpy(rows).to(device)
    full_product(on_device)
    evaluate_all_pairs(on_device, labels, KS, exact=False)


def peak_in_child(count: int, classes: int) -> int:
    """Peak memory in MB beyond the inputs, of a fresh process on the CPU."""
    command = [sys.executable, __file__, "--peak-of", str(count), str(classes)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peak(count: int, classes: int) -> None:
    rows, labels = synthetic(count, classes)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = _status("VmRSS")
    evaluate_all_pairs(rows, labels, KS, exact=False)
    print((_status("VmHWM") - before) // 1024)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def show(row: dict, columns: list[str]) -> None:
    cells = [f"{v:.3f}" if isinstance(v := row.get(c, ""), float) else str(v) for c in columns]
    print("  ".join(cell.rjust(len(c)) for cell, c in zip(cells, columns, strict=True)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", choices=[*SIZES, "growth"], default=["n12k"])
    parser.add_argument("--runs", type=int, default=5, help="runs of each, of which medians")
    parser.add_argument("--peers", action="store_true", help="also faiss and a naive NumPy form")
    parser.add_argument("--memory", action="store_true", help="also peak memory, in a new process")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--peak-of", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print_peak(*options.peak_of)
        return
    torch.set_num_threads(options.threads)
    sizes = {}
    for name in options.size:
        sizes |= GROWTH if name == "growth" else {name: SIZES[name]}
    columns = [
        *COLUMNS,
        *(PEERS if options.peers else ()),
        *(["peak_mb"] if options.memory else ()),
    ]
    warm_up(options.device)
    print("  ".join(columns))
    rows = []
    for name, (count, classes) in sizes.items():
        rows.append(measure(name, count, classes, options))
        show(rows[-1], columns)
    if options.csv:
        with options.csv.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
