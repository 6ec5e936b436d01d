"""The exam: cells x sequences x seeds, with fair arms and honest statistics, as one frozen result.

Start with :class:`ExamConfig` and :func:`examine`; :func:`estimate` says before what it would cost.
"""

from rnnprog.evaluate.arms import all_cells
from rnnprog.evaluate.caps import CapReached, Gate, check_priced
from rnnprog.evaluate.config import ArmSpec, DataSpec, ExamConfig, Running, read_toml, split_settings
from rnnprog.evaluate.estimate import ArmEstimate, estimate, estimate_judge, estimate_walks
from rnnprog.evaluate.examine import claimed, examine, sit
from rnnprog.evaluate.frame import Frame, frame_of
from rnnprog.evaluate.judging import judge_exam
from rnnprog.evaluate.presets import PRESETS, preset
from rnnprog.evaluate.store import Store
from rnnprog.evaluate.watch import ExamProgress, Quiet, Watcher

__all__ = [
    "PRESETS",
    "ArmEstimate",
    "ArmSpec",
    "CapReached",
    "DataSpec",
    "ExamConfig",
    "ExamProgress",
    "Frame",
    "Gate",
    "Quiet",
    "Running",
    "Store",
    "Watcher",
    "all_cells",
    "check_priced",
    "claimed",
    "estimate",
    "estimate_judge",
    "estimate_walks",
    "examine",
    "frame_of",
    "judge_exam",
    "preset",
    "read_toml",
    "sit",
    "split_settings",
]
