"""Cells: one step of a recurrent predictor each, siblings under one contract. Baselines live beside the method."""

from rnnprog.cells.ace_full import AceFull, AceFullSettings
from rnnprog.cells.ace_repo import AceRepo, AceRepoSettings
from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.cells.cheatsheet import Cheatsheet, CheatsheetSettings
from rnnprog.cells.cheatsheet_rs import CheatsheetRS, CheatsheetRSSettings
from rnnprog.cells.floors import Majority, Markov, Persistence, PredictZero, RunningMean
from rnnprog.cells.frozen_memory import FrozenMemory, FrozenMemorySettings
from rnnprog.cells.full_history import FullHistory
from rnnprog.cells.gates import Always, EveryN, OnError
from rnnprog.cells.label_history import LabelHistory, LabelHistorySettings
from rnnprog.cells.memprompt import MemPrompt, MemPromptSettings
from rnnprog.cells.raw_feedback import RawFeedback, RawFeedbackSettings
from rnnprog.cells.reflective import Reflective, ReflectiveSettings
from rnnprog.cells.river_cell import RiverCell
from rnnprog.cells.rolling_summary import RollingSummary, RollingSummarySettings
from rnnprog.cells.running_summaries import RunningSummaries, RunningSummariesSettings
from rnnprog.cells.self_stream_icl import SelfStreamICL, SelfStreamSettings
from rnnprog.cells.zero_shot import EmptyMemory, ZeroShot

__all__ = [
    "AceFull",
    "AceFullSettings",
    "AceRepo",
    "AceRepoSettings",
    "Always",
    "Answer",
    "Cell",
    "Cheatsheet",
    "CheatsheetRS",
    "CheatsheetRSSettings",
    "CheatsheetSettings",
    "EmptyMemory",
    "EveryN",
    "Experience",
    "FrozenMemory",
    "FrozenMemorySettings",
    "FullHistory",
    "LabelHistory",
    "LabelHistorySettings",
    "Learned",
    "Majority",
    "Markov",
    "MemPrompt",
    "MemPromptSettings",
    "OnError",
    "Persistence",
    "PredictZero",
    "RawFeedback",
    "RawFeedbackSettings",
    "Reflective",
    "ReflectiveSettings",
    "RiverCell",
    "RollingSummary",
    "RollingSummarySettings",
    "RunningMean",
    "RunningSummaries",
    "RunningSummariesSettings",
    "SelfStreamICL",
    "SelfStreamSettings",
    "ZeroShot",
]
