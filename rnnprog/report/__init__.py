"""The gallery: read-only views of results and traces. It runs no model.

:func:`build` writes the page of an exam, :func:`build_walk` that of a single run.
"""

from rnnprog.report.build import build, build_walk

__all__ = ["build", "build_walk"]
