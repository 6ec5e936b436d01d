"""The command line: parse, call, print. Everything it does can be done from Python with the same names."""

from __future__ import annotations

from rnnprog.cli.app import app, main

__all__ = ["app", "main"]
