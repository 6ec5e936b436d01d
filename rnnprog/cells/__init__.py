"""Cells: one step of a recurrent predictor each, siblings under one contract. Baselines live beside the method."""

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.cells.full_history import FullHistory
from rnnprog.cells.gates import Always, EveryN, OnError
from rnnprog.cells.reflective import Reflective, ReflectiveSettings
from rnnprog.cells.zero_shot import EmptyMemory, ZeroShot

__all__ = [
    "Always",
    "Answer",
    "Cell",
    "EmptyMemory",
    "EveryN",
    "Experience",
    "FullHistory",
    "Learned",
    "OnError",
    "Reflective",
    "ReflectiveSettings",
    "ZeroShot",
]
