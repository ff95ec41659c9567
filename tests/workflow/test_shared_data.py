"""Archives and images that several workflows share, and that Snakemake never deletes."""

import shutil
from pathlib import Path

from tests.workflow.checkout import Checkout, QuickSuite, fresh_checkout

TABLES = ["results/data/miniature/cub/train.csv", "results/data/miniature/cub/test.csv"]


def prepare(checkout: Checkout, root: Path, *options: str) -> str:
    done = checkout.snakemake(
        *TABLES, "--cores", "1", *options, "--config", "suite=quick", f"data_root={root}"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def stamps(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".jpg", ".tgz")}


def test_two_workflows_share_one_folder(tmp_path: Path) -> None:
    root = tmp_path / "a shared folder"
    first, second = (fresh_checkout(tmp_path / name) for name in ("first", "second"))
    prepare(first, root)
    before = stamps(root)
    assert any(name.endswith(".tgz") for name in before)
    assert sum(name.endswith(".jpg") for name in before) > 100
    assert not list((first.folder / "results").rglob("*.jpg"))
    prepare(second, root)
    assert stamps(root) == before, "the second workflow changed what the first one uses"
    for table in TABLES:
        assert (first.folder / table).read_bytes() == (second.folder / table).read_bytes()
    done = second.snakemake(
        *TABLES, "--delete-all-output", "--cores", "1",
        "--config", "suite=quick", f"data_root={root}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (second.folder / TABLES[0]).exists()
    assert stamps(root) == before
    prepare(first, root, "--forcerun", "download", "prepare")
    assert stamps(root) == before


def test_an_archive_brought_by_hand_is_verified_and_kept(quick: QuickSuite, tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path / "tcm-bench")
    root = tmp_path / "shared"
    name = "CUB_200_2011.tgz"
    archives = root / "miniature/cub/archives"
    archives.mkdir(parents=True)
    shutil.copy2(quick.checkout.folder / "results/data/miniature/cub/archives" / name, archives)
    stamp = (archives / name).stat()
    prepare(checkout, root)
    after = (archives / name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)
    receipt = checkout.folder / f"results/data/miniature/cub/archives/{name}.verified.json"
    assert "by hand" in receipt.read_text()


def test_smaller_images_lie_beside_the_originals_and_change_the_tables(tmp_path: Path) -> None:
    checkout = fresh_checkout(tmp_path / "tcm-bench")
    root = tmp_path / "shared"
    prepare(checkout, root)
    original = (checkout.folder / TABLES[0]).read_text()
    with checkout.edited("config.yaml", ("image_cache: null", "image_cache: {short_side: 24}")):
        prepare(checkout, root)
        smaller = (checkout.folder / TABLES[0]).read_text()
    assert smaller == original.replace("images/", "images_24/")
    assert (root / "miniature/cub/images").is_dir()
    assert (root / "miniature/cub/images_24").is_dir()
