"""Ratios, side by side in one run: ``make bench``, or one of them with ``python -m benchmarks.<name>``."""
