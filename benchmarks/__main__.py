"""Run the benchmarks that end within minutes, each in a process of its own, and say which targets are met.

    python -m benchmarks [NAME ...]

Without names: all but the long ones, which are ``stragglers`` (sequences of over two minutes),
``tuner_search``, ``tuner_pruning`` and ``latent_speed``. Run nothing else meanwhile.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.verdicts import MARK

NAMES = ["import_time", "walk_overhead", "in_flight", "flat_cost", "exam_speed", "report_speed", "tuner_overhead"]


def main(names: list[str]) -> int:
    """Run the named benchmarks; return how many broke."""
    rows: list[str] = []
    broken = 0
    for name in names:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                print(line, end="", flush=True)
                if line.startswith(MARK):
                    rows.append(line.removeprefix(MARK).strip())
        if running.returncode:
            broken += 1
            rows.append(f"{name}: ended with exit code {running.returncode} | | BROKEN")
    table = [[cell.strip() for cell in row.split("|")] for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    print("\n== targets")
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return broken


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or NAMES))
