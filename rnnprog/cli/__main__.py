"""``python -m rnnprog.cli``."""

from rnnprog.cli.app import main

main()
