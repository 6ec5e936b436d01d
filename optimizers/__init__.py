"""The workshop: tuning the words of a recurrent program, and its memory's settings.

:class:`OptunaTuner` searches with Optuna; :class:`GepaTuner` lets GEPA reflect over whole walks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnprog.optimizers.after import before_after, windows
    from rnnprog.optimizers.candidate import Candidate
    from rnnprog.optimizers.climbing import ClimbingSampler
    from rnnprog.optimizers.differences import changes
    from rnnprog.optimizers.estimate import Estimate
    from rnnprog.optimizers.gepa import GepaTuner
    from rnnprog.optimizers.halving import HalvingPruner
    from rnnprog.optimizers.ledger import Entry, Ledger
    from rnnprog.optimizers.objective import Objective
    from rnnprog.optimizers.options import Option, Pool
    from rnnprog.optimizers.optuna_tuner import OptunaTuner
    from rnnprog.optimizers.parts import Demos, Instructions, Model, Setting, StartMemory, Temperature
    from rnnprog.optimizers.progress import Progress
    from rnnprog.optimizers.propose import DefaultProposer
    from rnnprog.optimizers.pruning import PairedPruner
    from rnnprog.optimizers.record import record_of, write_record
    from rnnprog.optimizers.rounds import Proposer, Request, Walked
    from rnnprog.optimizers.schedule import Schedule
    from rnnprog.optimizers.space import Space, default_space
    from rnnprog.optimizers.spending import Budget, Spent
    from rnnprog.optimizers.storage import StorageError, open_storage

_WHERE = {
    "Budget": "spending",
    "before_after": "after",
    "changes": "differences",
    "windows": "after",
    "record_of": "record",
    "write_record": "record",
    "Candidate": "candidate",
    "ClimbingSampler": "climbing",
    "DefaultProposer": "propose",
    "Demos": "parts",
    "Entry": "ledger",
    "Estimate": "estimate",
    "GepaTuner": "gepa",
    "HalvingPruner": "halving",
    "Instructions": "parts",
    "Ledger": "ledger",
    "Model": "parts",
    "Objective": "objective",
    "Option": "options",
    "OptunaTuner": "optuna_tuner",
    "PairedPruner": "pruning",
    "Pool": "options",
    "Progress": "progress",
    "Proposer": "rounds",
    "Request": "rounds",
    "Schedule": "schedule",
    "Setting": "parts",
    "Space": "space",
    "Spent": "spending",
    "StartMemory": "parts",
    "StorageError": "storage",
    "Temperature": "parts",
    "Walked": "rounds",
    "default_space": "space",
    "open_storage": "storage",
}

__all__ = [
    "Budget",
    "Candidate",
    "ClimbingSampler",
    "DefaultProposer",
    "Demos",
    "Entry",
    "Estimate",
    "GepaTuner",
    "HalvingPruner",
    "Instructions",
    "Ledger",
    "Model",
    "Objective",
    "Option",
    "OptunaTuner",
    "PairedPruner",
    "Pool",
    "Progress",
    "Proposer",
    "Request",
    "Schedule",
    "Setting",
    "Space",
    "Spent",
    "StartMemory",
    "StorageError",
    "Temperature",
    "Walked",
    "before_after",
    "changes",
    "default_space",
    "open_storage",
    "record_of",
    "windows",
    "write_record",
]


def __getattr__(name: str) -> Any:
    # Optuna and scipy are loaded with the first name that needs them, not with the package.
    if name in _WHERE:
        return getattr(importlib.import_module(f"rnnprog.optimizers.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'rnnprog.optimizers' has no attribute {name!r}")
