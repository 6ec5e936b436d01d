"""The exam: cells x sequences x seeds, walked once, scored alike, told with what the data can bear."""

from __future__ import annotations

from pathlib import Path

import dspy

from rnnprog.collector import seldom_collecting_everything
from rnnprog.errors import StorageError
from rnnprog.evaluate.caps import Gate, check_priced
from rnnprog.evaluate.config import ExamConfig, Running
from rnnprog.evaluate.frame import Frame, frame_of
from rnnprog.evaluate.prompt_files import write_prompts
from rnnprog.evaluate.seeds import model_of
from rnnprog.evaluate.store import Store
from rnnprog.evaluate.telling import told_of, versions
from rnnprog.evaluate.walking import Walker
from rnnprog.evaluate.watch import Quiet, Watcher
from rnnprog.exam_result import ExamResult
from rnnprog.tasks import TaskData

__all__ = ["claimed", "examine", "sit"]


def examine(
    config: ExamConfig,
    lm: dspy.LM | None = None,
    *,
    out: str | Path | None = None,
    data: TaskData | None = None,
    running: Running | None = None,
    watcher: Watcher | None = None,
) -> ExamResult:
    """Walk all arms over the same data and say what may be said about them.

    All arms share the model, the data, the budget and the prompt frame. With ``out`` every finished walk is on disk
    before the next begins, and calling this again with the same configuration goes on where it was broken off.
    Arms whose prompts are equal share the answers that dspy's cache holds, where the model's cache is on.

    Args:
        config: arms, data, protocol.
        lm: the model of all phases; by default the one that dspy is configured with.
        out: folder for finished walks; without it nothing is kept.
        data: sequences to use instead of loading those of ``config.data``.
        running: walks in flight, caps, prompts.
        watcher: is told of the progress.

    Returns:
        The result; after Ctrl-C or when a cap was reached over what was finished, with ``config["complete"]`` false
        and a note. Write it with :func:`rnnprog.exam_result.write_exam`.

    Raises:
        ConfigurationError: arms or data that cannot be used, or ``out`` holds walks of another configuration.
        StorageError: ``out`` cannot be written; said before the first call.
        LMUnavailableError: no model, or not one usable answer.

    Example:
        >>> import rnnprog
        >>> config = ExamConfig.of(task="regimes", options={"n_steps": 12}, cells=["zero_shot"])
        >>> result = examine(config, rnnprog.embedded_lm())
        >>> [(arm.label, arm.role) for arm in result.arms][:2]
        [('zero_shot', 'arm'), ('empty_memory', 'control')]
    """
    return sit(frame_of(config, lm, data), out=out, running=running, watcher=watcher)


@seldom_collecting_everything()
def sit(
    frame: Frame,
    *,
    out: str | Path | None = None,
    running: Running | None = None,
    watcher: Watcher | None = None,
    gate: Gate | None = None,
) -> ExamResult:
    """Walk an exam whose data are loaded already, as after :func:`~rnnprog.evaluate.estimate`; see :func:`examine`.

    Args:
        frame: the exam.
        out: folder for finished walks.
        running: walks in flight, caps, prompts.
        watcher: is told of the progress.
        gate: counts and refuses calls; give one to let :func:`~rnnprog.evaluate.judge_exam` go on under the same caps.
    """
    running, watcher = running or Running(), watcher or Quiet()
    check_priced(running, frame.lm)
    store = None if out is None else claimed(frame, out)
    watcher.begin({entrant.label: frame.steps for entrant in frame.asked}, frame.metrics[0])
    seeds = frame.seeds
    models = {s: model_of(frame.lm, s, seeds) if frame.lm is not None else None for s in seeds.numbers}
    walker = Walker(running, store, watcher, gate or Gate(running))
    try:
        walked = walker.walk(frame.entrants, frame.parts, models)
    finally:
        watcher.end()
    told = told_of(walked, frame)
    if out is None or not running.prompts:
        return told
    try:
        return write_prompts(told, walked, out)
    except StorageError as error:
        return told.model_copy(update={"note": f"{told.note} The page has no prompts: {error}.".strip()})


def claimed(frame: Frame, out: str | Path, *, look_only: bool = False) -> Store:
    """Return the folder of an exam, once it is known that it can be written and holds no other exam.

    Args:
        frame: the exam.
        out: the folder.
        look_only: write nothing, and do not try whether it can be written.

    Raises:
        ConfigurationError: it holds walks of another configuration.
        StorageError: it cannot be written.
    """
    store = Store(out)
    store.claim({**frame.config.shared(), "rnnprog": versions()["rnnprog"]}, frame.made(), look_only=look_only)
    return store
