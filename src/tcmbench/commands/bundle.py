"""Pack runs into one sealed file that others can check."""

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = argparse.ArgumentParser(
        description=f"{__doc__} It holds run.json, metrics, curves, classes, log.csv and the "
        "embeddings of each run, but no absolute path and no name of a host or of its user."
    )
    add = root.add_argument
    add(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN_FOLDER",
        help="{dataset}/{backbone}/{loss}/{base|tcm}/seed{number}, evaluated",
    )
    add("--suite", metavar="NAME", help="instead, all runs of this suite of ./config.yaml")
    add("--by", required=True, metavar="NAME", help="who measured, as it will stand beside it")
    add("--out", required=True, type=Path, metavar="FILE.zip", help="the bundle")
    add(
        "--embeddings",
        choices=("float16", "float32"),
        default="float16",
        help="how embeddings are packed; what float16 changes is measured and stated (default: "
        "%(default)s)",
    )
    where = "where to measure (default: cuda where there is one)"
    add("--device", choices=("cpu", "cuda"), help=where)
    return root


def command(arguments: argparse.Namespace) -> None:
    """Pack, and say what that did to the numbers."""
    from tcmbench.bundles.pack import pack
    from tcmbench.bundles.text import packed_text
    from tcmbench.common.devices import claim_kind
    from tcmbench.common.errors import UserError

    if bool(arguments.runs) == bool(arguments.suite):
        raise UserError("name either the run folders or, with --suite, all runs of a suite")
    folders = arguments.runs
    if arguments.suite:
        from tcmbench.page.expected import expected_folders

        folders = expected_folders(Path("config.yaml"), arguments.suite)
    device = claim_kind(arguments.device)
    said = pack(folders, arguments.out, arguments.by, arguments.embeddings, device)
    print(packed_text(said, arguments.out))
