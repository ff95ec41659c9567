"""The table of measured steps on screen, and the ratios that goals are about."""

from collections.abc import Sequence

from tcmbench.preflight.rows import Row


def print_table(rows: Sequence[Row]) -> None:
    """Print the ways of one pair of backbone and loss, and their ratios."""
    first = rows[0]
    print(
        f"\n{first.backbone}, {first.loss}, JPEGs of {first.jpegs}: batch {first.batch_size}, "
        f"chunks of {first.chunk_size}, {first.kept_chunks} kept, {first.precision}"
        f"{', compiled' if first.compiled else ''}, {first.workers} loading processes"
    )
    for row in rows:
        print(
            f"  {row.way:28} {row.rate:10,.1f} images/s {1e3 * row.seconds:12,.1f} ms a step "
            f"{row.memory_mb / 1e3:8.2f} GB"
        )
    for name, value in ratios(rows).items():
        print(f"  {name}: {value}")


def ratios(rows: Sequence[Row]) -> dict[str, str]:
    """Name the ratios between the ways of one pair of backbone and loss."""
    disk, device, without, plain = (row.seconds for row in rows)
    return {
        "from disk, of on the device": f"{100 * device / disk:.1f} %",
        "from disk, against plain float32 on the device": f"{plain / disk:.2f} x",
        "TCM's share of a step on the device": f"{100 * (device - without) / device:.2f} %",
    }
