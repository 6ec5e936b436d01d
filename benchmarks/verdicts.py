"""One line for each target: what was measured, what was asked for, whether that is met."""

from __future__ import annotations

MARK = "target:"


def verdict(what: str, measured: float, limit: float, unit: str = "x", *, at_least: bool = False) -> None:
    """Print a line that ``python -m benchmarks`` gathers into its table."""
    met = measured >= limit if at_least else measured <= limit
    word = "at least" if at_least else "at most"
    print(f"{MARK} {what}: {measured:.4g} {unit} | {word} {limit:g} {unit} | {'met' if met else 'MISSED'}", flush=True)
