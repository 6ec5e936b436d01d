"""Sequences with a signature, by name or from your own files."""

from rnnprog.tasks.base import Splits, TaskData, make_task
from rnnprog.tasks.ddxplus import ddxplus
from rnnprog.tasks.locomo import locomo
from rnnprog.tasks.mimic_iv import mimic_iv
from rnnprog.tasks.own import Reading, from_dataset, from_file, from_options
from rnnprog.tasks.regimes import regimes
from rnnprog.tasks.registry import load_task, register_task, task_names
from rnnprog.tasks.sp500 import sp500
from rnnprog.tasks.weather import weather

__all__ = [
    "Reading",
    "Splits",
    "TaskData",
    "ddxplus",
    "from_dataset",
    "from_file",
    "from_options",
    "load_task",
    "locomo",
    "make_task",
    "mimic_iv",
    "regimes",
    "register_task",
    "sp500",
    "task_names",
    "weather",
]
