"""Turn any frozen LLM into a recurrent predictor whose memory can be trusted.

At each timestep a program predicts from a short natural-language memory and the new observation, reflects on the
outcome when it is known, and rewrites the memory within a hard token budget.
"""

from typing import TYPE_CHECKING, Any

from rnnprog.budget import fit
from rnnprog.cells import (
    Always,
    Answer,
    Cell,
    EmptyMemory,
    EveryN,
    Experience,
    FullHistory,
    Learned,
    OnError,
    Reflective,
    ReflectiveSettings,
    ZeroShot,
)
from rnnprog.cells.base import cell_names, make_cell
from rnnprog.errors import (
    ConfigurationError,
    DataError,
    LMUnavailableError,
    MemoryFormatError,
    RnnprogError,
    StepFailedError,
    TraceError,
)
from rnnprog.feedback import FeedbackSource, JudgeFeedback, Label, Nobody, Rule
from rnnprog.guard import DEFAULT_GUARD, Guard
from rnnprog.memory import Memory, MemoryDiff
from rnnprog.module import Asked, RecurrentModule
from rnnprog.observer import TraceFile
from rnnprog.recording import FailurePolicy, Recording
from rnnprog.running import run
from rnnprog.schema import DEFAULT_SCHEMA, MemorySchema, SectionSpec
from rnnprog.state import State
from rnnprog.tokens import get_tokenizer
from rnnprog.trace import Feedback, Result, Sequence, Step, StepRecord, Timing, Trace, Update, Usage
from rnnprog.trace_io import read_traces, write_traces

if TYPE_CHECKING:
    from rnnprog.lm.embedded import embedded_lm
    from rnnprog.lm.replay import record, replay
    from rnnprog.lm.scripted import scripted_lm

__all__ = [
    "DEFAULT_GUARD",
    "DEFAULT_SCHEMA",
    "Always",
    "Answer",
    "Asked",
    "Cell",
    "ConfigurationError",
    "DataError",
    "EmptyMemory",
    "EveryN",
    "Experience",
    "FailurePolicy",
    "Feedback",
    "FeedbackSource",
    "FullHistory",
    "Guard",
    "JudgeFeedback",
    "LMUnavailableError",
    "Label",
    "Learned",
    "Memory",
    "MemoryDiff",
    "MemoryFormatError",
    "MemorySchema",
    "Nobody",
    "OnError",
    "Recording",
    "RecurrentModule",
    "Reflective",
    "ReflectiveSettings",
    "Result",
    "RnnprogError",
    "Rule",
    "SectionSpec",
    "Sequence",
    "State",
    "Step",
    "StepFailedError",
    "StepRecord",
    "Timing",
    "Trace",
    "TraceError",
    "TraceFile",
    "Update",
    "Usage",
    "ZeroShot",
    "cell_names",
    "embedded_lm",
    "fit",
    "get_tokenizer",
    "make_cell",
    "read_traces",
    "record",
    "replay",
    "run",
    "scripted_lm",
    "write_traces",
]

_MODELS = {"embedded_lm": "embedded", "record": "replay", "replay": "replay", "scripted_lm": "scripted"}


def __getattr__(name: str) -> Any:
    """Import the stand-in models when they are first asked for: a program with a real model never needs them."""
    if name not in _MODELS:
        raise AttributeError(f"module 'rnnprog' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"rnnprog.lm.{_MODELS[name]}"), name)
