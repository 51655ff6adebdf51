"""Runs the benchmarks, prints their table and writes bench.json: ``make bench``.

The figures of one run belong together: a busy machine, or another one, gives others. So all of
them are taken again each time, on all cores, and nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from movinglands.files import write_whole

from . import cluster, engine, gpu, importing, memory, refinement, rendering
from .report import THREADS, Row

SUBJECTS = {
    "engine": engine.bench,
    "refinement": refinement.bench,
    "cluster": cluster.bench,
    "memory": memory.bench,
    "importing": importing.bench,
    "rendering": rendering.bench,
    "gpu": gpu.bench,
}


def main() -> None:
    """Run the subjects that are asked for, by default all."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("-o", "--output", type=Path, metavar="BENCH.json")
    options = parser.parse_args()
    if unknown := [name for name in options.subjects if name not in SUBJECTS]:
        parser.error(f"no subject {unknown[0]}; there are {', '.join(SUBJECTS)}")
    start = time.monotonic()
    rows = [Row("threads", THREADS)]
    for name in options.subjects or SUBJECTS:
        for row in SUBJECTS[name]():
            print(f"[{time.monotonic() - start:4.0f} s] {_line(row)}", flush=True)
            rows.append(row)
    print("\n" + _table(rows))
    if options.output:
        figures = {row.key: row.value for row in rows if row.value is not None}
        write_whole(options.output, (json.dumps(figures, indent=2) + "\n").encode())


def _line(row: Row) -> str:
    value = "not measured" if row.value is None else f"{row.value:.4g}"
    return "  ".join(part for part in (row.key, value, row.ours, row.beside) if part)


def _table(rows: list[Row]) -> str:
    """Return all rows in columns."""
    cells = [("", "", "ours", "beside it")]
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.4g}"
        cells.append((row.key, value, row.ours, row.beside))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        f"{key:<{widths[0]}}  {value:>{widths[1]}}  {ours:<{widths[2]}}  {beside}".rstrip()
        for key, value, ours, beside in cells
    )


if __name__ == "__main__":
    main()
