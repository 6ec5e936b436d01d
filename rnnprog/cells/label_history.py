"""The labels so far, counted by code: what a memory is worth that no model writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from rnnprog.cells.base import Experience, Learned
from rnnprog.cells.remembering import MemorySettings, Remembering, guide, one_line
from rnnprog.trace import Fields

__all__ = ["LabelHistory", "LabelHistorySettings"]

NOTHING_YET = "(no outcomes so far)"
LONGEST = 200  # characters of a label; a free text is cut there, since it is counted, not read
GUIDE = guide(
    "the true outcomes of earlier steps of the same series, counted",
    "Before you answer, weigh how often each outcome came and which came last.",
)

Tally = dict[str, Any]


class LabelHistorySettings(MemorySettings):
    """Settings of the label-history cell; saved with the program.

    Attributes:
        last: how many of the latest outcomes are listed.
        capacity: most different outcomes counted for an output; of more, the rarest go.
    """

    last: int = Field(default=5, ge=0)
    capacity: int = Field(default=256, ge=1)


class LabelHistory(Remembering):
    """Counts of the labels and the last five, as text: one call a step, none to learn.

    The ablation that takes the model's own memory out of LLM-as-RNN (arXiv 2601.13352), where a code-built label
    history goes into every update and may explain part of the gain. It sees labels, and nothing else: feedback without
    a target (a judge, a rule) leaves no trace, and neither observations nor own answers are kept. Of a ranked list each
    entry is counted. Where the budget is short, the rarest outcomes are left out of the text first, whole.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``last=10``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> cell = LabelHistory("rain: float -> tomorrow: Literal['sun', 'rain']")
        >>> print(cell.shown({"tomorrow": {"seen": 3, "counts": {'"rain"': 2, '"sun"': 1}, "last": ['"sun"']}}, {}))
        tomorrow was rain in 2 of 3 steps.
        tomorrow was sun in 1 of 3 steps.
        The last values of tomorrow, newest last: sun.
    """

    name = "label_history"
    kind = LabelHistorySettings
    about = "true outcomes so far, counted"
    guidance = GUIDE

    def initial(self) -> dict[str, Tally]:
        """Return empty counts."""
        return {output: {"seen": 0, "counts": {}, "last": []} for output in self.task.outputs}

    def shown(self, carry: Mapping[str, Tally], inputs: Fields) -> str:
        """Return the counts as sentences, the most frequent first, then the latest outcomes."""
        room, ruler = self.settings.value.budget, self.tokenizer
        tallies = [(output, carry[output]) for output in self.task.outputs if carry[output]["seen"]]
        counted = [(n, output, key) for output, tally in tallies for key, n in tally["counts"].items()]
        kept = sorted(counted, key=lambda entry: (-entry[0], entry[1:]))
        latest = [_latest(output, tally) for output, tally in tallies if tally["last"]]
        while latest and ruler.count("\n".join(latest)) > room:
            latest.pop()
        low, high = 0, len(kept)
        while low < high:  # the text grows with each line, so the cut can be bisected
            middle = (low + high + 1) // 2
            low, high = (
                (middle, high) if ruler.count(_text(tallies, kept[:middle], latest)) <= room else (low, middle - 1)
            )
        return _text(tallies, kept[:low], latest) or NOTHING_YET

    def learning(self, carry: dict[str, Tally], experience: Experience) -> Learned:
        """Count the outcome, where it came as a label."""
        settings = self.settings.value
        target = experience.feedback.target if experience.feedback is not None else None
        known = {name: value for name, value in (target or {}).items() if name in carry and value is not None}
        if not known:
            return Learned(carry, "no_label")
        new = {**carry, **{name: _counted(carry[name], value, settings) for name, value in known.items()}}
        return Learned(new, "count", tokens=self.tokenizer.count(self.shown(new, experience.inputs)))


def _counted(tally: Tally, value: JsonValue, settings: LabelHistorySettings) -> Tally:
    labels = [_short(entry) for entry in (value if isinstance(value, list) else [value])]
    keys = [_key(entry) for entry in labels]
    counts = dict(tally["counts"])
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    rarest = sorted(counts, key=lambda key: (key in keys, counts[key], key))
    for key in rarest[: max(0, len(counts) - settings.capacity)]:
        del counts[key]
    latest = [*tally["last"], _key(labels if isinstance(value, list) else labels[0])]
    return {"seen": tally["seen"] + 1, "counts": counts, "last": latest[-settings.last :] if settings.last else []}


def _key(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _short(value: JsonValue) -> JsonValue:
    return one_line(value)[:LONGEST] if isinstance(value, str) else value


def _plain(key: str) -> str:
    value = json.loads(key)
    return one_line(value if isinstance(value, str) else key)


def _latest(output: str, tally: Tally) -> str:
    return f"The last values of {output}, newest last: {', '.join(map(_plain, tally['last']))}."


def _text(tallies: list[tuple[str, Tally]], kept: list[tuple[int, str, str]], latest: list[str]) -> str:
    seen = {output: tally["seen"] for output, tally in tallies}
    lines = [f"{output} was {_plain(key)} in {n} of {seen[output]} steps." for n, output, key in kept]
    return "\n".join([*lines, *latest])
