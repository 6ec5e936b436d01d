"""Run all benchmarks of the walk, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

NAMES = ["import_time", "walk_overhead", "in_flight", "flat_cost"]

for name in NAMES:
    print(f"== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
