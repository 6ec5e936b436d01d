"""Any River estimator as a cell: the statistical rivals, under the same loop.

River's estimators change in place and are not JSON. So the carry is not the estimator but *what it has learned*: the
list of labelled examples, which is JSON, shared by all carries of one walk, together with one live estimator that is
as far as the newest carry. Going on from the newest carry costs what River costs. Predicting or learning from an
older carry, or loading one, trains a fresh copy on its examples: as many calls of ``learn_one`` as the carry has
examples. Memory grows by one example a step, and a recorded carry holds all examples before it, so a trace of n steps
that records every carry takes space in proportion to n squared: hand the module ``Recording(every=0)``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import dspy
from pydantic import JsonValue

from rnnprog.cells.base import Answer, Cell, Experience, Learned
from rnnprog.cells.floors.base import first_guess
from rnnprog.cells.river_models import check_fit, default_model, named_model
from rnnprog.errors import ConfigurationError
from rnnprog.signatures import TaskLike, as_task
from rnnprog.trace import Fields

__all__ = ["RiverCarry", "RiverCell"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

Example = tuple[Fields, JsonValue]


@dataclass
class _Tape:
    """Examples in the order of learning, and an estimator that has learned all of them."""

    model: Any
    examples: list[Example] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Tape:
        return _Tape(copy.deepcopy(self.model, memo), list(self.examples))


@dataclass(frozen=True)
class RiverCarry:
    """A point on a tape: the first ``length`` examples have been learned.

    Attributes:
        length: number of examples learned.
        version: digest of these examples.
    """

    tape: _Tape = field(repr=False, compare=False)
    length: int
    version: str


class RiverCell(Cell):
    """A River estimator, or a pipeline of them, for a task with one output.

    The type of the output says what is asked of it: a ``float`` or ``int`` is a regressor's ``predict_one``, a
    ``bool`` or ``Literal`` a classifier's, and a ``dict[str, float]`` its ``predict_proba_one``, where the target is
    the distribution that puts 1 on the true label. The labels' probabilities are also on ``Answer.prediction`` under
    ``probabilities``. Where the estimator does not answer, the plainest value does. Install the extra ``river``.

    Args:
        task: what is observed and predicted.
        model: an estimator; it is copied and never changed. What it has learned already is the start of every walk.
            Or the name of one, see :mod:`rnnprog.cells.river_models`. Left out, a linear model that fits the output.

    Raises:
        ConfigurationError: more than one output, ``model`` does not learn and predict one observation at a time or
            does not fit the output, or it is named or left out and River is not installed or has none.

    Example:
        >>> from river import linear_model, preprocessing
        >>> model = preprocessing.StandardScaler() | linear_model.LinearRegression()
        >>> cell = RiverCell("wind: float -> temp: float", model)
        >>> cell.predict(cell.initial(), {"wind": 3.0}).outputs
        {'temp': 0.0}
    """

    name = "river"

    def __init__(self, task: TaskLike, model: Any = None) -> None:
        super().__init__(as_task(task))
        if len(self.task.outputs) != 1:
            raise ConfigurationError(f"a River model predicts one output; the task has {list(self.task.outputs)}")
        if model is None:
            model = default_model(self.task)
        elif isinstance(model, (str, dict, list)):
            model = named_model(model, self.task)
        if not all(callable(getattr(model, verb, None)) for verb in ("learn_one", "predict_one")):
            raise ConfigurationError(
                f"{model!r} has no learn_one and predict_one; give a River estimator that predicts, and not its class"
            )
        self.model = model
        (self.output,) = self.task.outputs
        self.kind: Any = self.task.signature.output_fields[self.output].annotation
        self.distribution = self.kind is dict or get_origin(self.kind) is dict
        if self.distribution and not callable(getattr(model, "predict_proba_one", None)):
            raise ConfigurationError(f"output {self.output!r} asks for probabilities and {model!r} predicts none")
        check_fit(model, self.output, self.kind)

    def initial(self) -> RiverCarry:
        """Return a tape without examples."""
        return RiverCarry(_Tape(copy.deepcopy(self.model)), 0, _extended("", _told(self.model)))

    def predicting(self, carry: RiverCarry, inputs: Fields) -> Answer:
        """Ask the estimator as it was after the carry's examples."""
        with carry.tape.lock:
            if len(carry.tape.examples) == carry.length:
                return self._answer(carry.tape.model, inputs)
        return self._answer(self._trained(self._examples(carry)), inputs)

    def learning(self, carry: RiverCarry, experience: Experience) -> Learned:
        """Learn one labelled example; without a label the carry stays."""
        target = experience.feedback.target if experience.feedback is not None else None
        truth = (target or {}).get(self.output)
        if truth is None:
            return Learned(carry, "keep")
        example = (experience.inputs, truth)
        version = _extended(carry.version, json.dumps(example, sort_keys=True, ensure_ascii=False))
        with carry.tape.lock:
            if len(carry.tape.examples) == carry.length:
                self._learn(carry.tape.model, example)
                carry.tape.examples.append(example)
                return Learned(RiverCarry(carry.tape, carry.length + 1, version), "learn_one")
        examples = [*self._examples(carry), example]
        return Learned(RiverCarry(_Tape(self._trained(examples), examples), len(examples), version), "learn_one")

    def dump_carry(self, carry: RiverCarry) -> JsonValue:
        """Return the examples learned, as JSON."""
        return [[inputs, truth] for inputs, truth in self._examples(carry)]

    def load_carry(self, dumped: JsonValue) -> RiverCarry:
        """Train a fresh copy on the examples."""
        pairs: Any = dumped
        examples: list[Example] = [(inputs, truth) for inputs, truth in pairs]
        version = self.initial().version
        for example in examples:
            version = _extended(version, json.dumps(example, sort_keys=True, ensure_ascii=False))
        return RiverCarry(_Tape(self._trained(examples), examples), len(examples), version)

    def digest(self, carry: RiverCarry) -> str:
        """Return the digest of the examples; chained, so that it costs the same at every step."""
        return carry.version

    def describe(self) -> Fields:
        """Return task and estimator."""
        return {**super().describe(), "model": _told(self.model)}

    def _examples(self, carry: RiverCarry) -> list[Example]:
        with carry.tape.lock:
            return carry.tape.examples[: carry.length]

    def _trained(self, examples: list[Example]) -> Any:
        model = copy.deepcopy(self.model)
        for example in examples:
            self._learn(model, example)
        return model

    def _learn(self, model: Any, example: Example) -> None:
        inputs, truth = example
        if self.distribution and isinstance(truth, dict):
            chances: dict[str, Any] = dict(truth)
            label = max(chances, key=lambda name: chances[name])
            truth = {"true": True, "false": False}.get(label, label)
        # Copies, as some of River's transformers write into what they are given.
        model.learn_one(dict(inputs), truth)

    def _answer(self, model: Any, inputs: Fields) -> Answer:
        chances: dict[str, float] = {}
        if callable(getattr(model, "predict_proba_one", None)) and self.kind not in (float, int):
            chances = {_name(label): float(p) for label, p in model.predict_proba_one(dict(inputs)).items()}
        said = chances if self.distribution else model.predict_one(dict(inputs))
        outputs: Fields = {self.output: self._typed(said)}
        return Answer(outputs, prediction=dspy.Prediction(**outputs, probabilities=chances))

    def _typed(self, said: Any) -> Any:
        if said is None or (self.distribution and not said):
            return {} if self.distribution else first_guess(self.task, self.output)
        if self.kind is float:
            return float(said)
        if self.kind is int:
            return round(said)
        if get_origin(self.kind) is Literal and said not in get_args(self.kind):
            return first_guess(self.task, self.output)
        return said


def _told(model: Any) -> str:
    try:
        text = repr(model)
    except TypeError:  # some of River's transformers cannot be written
        text = str(model)
    return _ADDRESS.sub("", text)


def _name(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _extended(version: str, text: str) -> str:
    return hashlib.sha256((version + text).encode()).hexdigest()[:12]
