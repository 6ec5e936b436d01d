"""The exam: cells x sequences x seeds, with fair arms and honest statistics, as one frozen result.

Start with :class:`ExamConfig` and :func:`examine`; :func:`estimate` says before what it would cost.
"""

from rnnprog.evaluate.caps import CapReached
from rnnprog.evaluate.config import ArmSpec, DataSpec, ExamConfig, Running, read_toml, split_settings
from rnnprog.evaluate.examine import examine
from rnnprog.evaluate.watch import ExamProgress, Quiet, Watcher

__all__ = [
    "ArmSpec",
    "CapReached",
    "DataSpec",
    "ExamConfig",
    "ExamProgress",
    "Quiet",
    "Running",
    "Watcher",
    "examine",
    "read_toml",
    "split_settings",
]
