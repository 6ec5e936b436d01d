"""``import rnnprog`` against ``import dspy``, in fresh processes, in CPU seconds. Target: at most 0.1 s more."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.verdicts import verdict

CODE = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def seconds(module: str) -> float:
    """Return how long a fresh process takes for one import, in CPU seconds."""
    return float(subprocess.run([sys.executable, "-c", CODE.format(module)], check=True, capture_output=True).stdout)


def main() -> None:
    best = {"dspy": float("inf"), "rnnprog": float("inf")}
    for _ in range(7):
        for module in best:
            best[module] = min(best[module], seconds(module))
    more = best["rnnprog"] - best["dspy"]
    print(f"import rnnprog {best['rnnprog']:.3f} s, import dspy {best['dspy']:.3f} s")
    verdict("import rnnprog, over import dspy", more, 0.1, "s")


if __name__ == "__main__":
    main()
