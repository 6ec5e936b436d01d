"""Watching a run: progress on screen, and a file that has every step as soon as it is made."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rnnprog.folder import LineFile
from rnnprog.trace import Sequence, StepRecord, Trace
from rnnprog.trace_io import step_line, to_lines

__all__ = ["Observer", "RichObserver", "Sturdy", "TraceFile"]


class Observer(Protocol):
    """Told of what happens in a run. Steps and finished sequences are reported from worker threads."""

    def begin(self, sequences: list[Sequence], start: Trace) -> None:
        """Hear which sequences will be walked, and with what: a trace without steps."""

    def stepped(self, sequence: Sequence, record: StepRecord) -> None:
        """Hear of one step."""

    def finished(self, trace: Trace) -> None:
        """Hear of a sequence that is done, or was broken off."""

    def end(self) -> None:
        """Hear that the run is over."""


class Sturdy:
    """Wraps an observer whose medium may fail, such as a file on a full disk: the run goes on without it.

    What was walked costs money and stays in memory; losing it because it could not be written as well would be worse.
    The first failure is told in a warning, and the observer is told nothing more.
    """

    def __init__(self, inner: Observer) -> None:
        self._inner = inner
        self._broken = False
        self._lock = threading.Lock()

    def begin(self, sequences: list[Sequence], start: Trace) -> None:
        """Pass on; a medium that cannot even be begun is an error."""
        self._inner.begin(sequences, start)

    def stepped(self, sequence: Sequence, record: StepRecord) -> None:
        """Pass on, if the medium still holds."""
        self._try(lambda: self._inner.stepped(sequence, record))

    def finished(self, trace: Trace) -> None:
        """Pass on, if the medium still holds."""
        self._try(lambda: self._inner.finished(trace))

    def end(self) -> None:
        """Pass on, if the medium still holds."""
        self._try(self._inner.end)

    def _try(self, act: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            act()
        except OSError as error:
            with self._lock:
                first, self._broken = not self._broken, True
            if first:
                warnings.warn(
                    f"{type(self._inner).__name__} failed ({error}); the run goes on and its result is complete, "
                    "but what that observer wrote is not",
                    RuntimeWarning,
                    stacklevel=2,
                )


class RichObserver:
    """A progress bar over all steps, with the running share of right answers and of failed steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._right = self._scored = self._failed = 0

    def begin(self, sequences: list[Sequence], start: Trace) -> None:
        """Show the bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._task = self._bar.add_task("walking", total=sum(map(len, sequences)), note="")
        self._bar.start()

    def stepped(self, sequence: Sequence, record: StepRecord) -> None:
        """Move the bar on by one step."""
        with self._lock:
            self._failed += record.failure is not None
            if record.target is not None:
                self._scored += 1
                self._right += record.prediction == record.target
            note = f"{self._right / self._scored:.1%} right" if self._scored and self._right else ""
            note += f"  {self._failed} failed" if self._failed else ""
            self._bar.update(self._task, advance=1, note=note)

    def finished(self, trace: Trace) -> None:
        """Say if a sequence broke off."""
        if trace.error:
            self._bar.console.print(f"[yellow]sequence {trace.sequence}: {trace.error}")

    def end(self) -> None:
        """Take the bar down."""
        self._bar.stop()


class TraceFile(LineFile):
    """Writes each step into a JSON-lines file as it is made, so that a crash loses none.

    The file can be read with :func:`rnnprog.read_traces` at any time; when a sequence is finished its end line
    follows. Use it as a context manager and as the ``observer`` of :func:`rnnprog.run`.

    Args:
        path: the file; its folder is made, an existing file is replaced.

    Attributes:
        full: the error that ended the writing, such as a full disk; what was written before can be read.
    """

    about = "trace file"

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._start = Trace(sequence="")
        self._begun: set[str] = set()

    def begin(self, sequences: list[Sequence], start: Trace) -> None:
        """Note what walks; a sequence begins with its first step."""
        self._start = start

    def stepped(self, sequence: Sequence, record: StepRecord) -> None:
        """Write the step, and the start line before the first one."""
        with self._lock:
            self._open(sequence.id)
            self.write(step_line(sequence.id, record))

    def finished(self, trace: Trace) -> None:
        """Write the end line."""
        with self._lock:
            self._open(trace.sequence)
            *_, end = to_lines(trace.model_copy(update={"records": ()}))
            self.write(end)

    def end(self) -> None:
        """Leave the file open; the context manager closes it."""

    def _open(self, sequence: str) -> None:
        if sequence not in self._begun:
            self._begun.add(sequence)
            self.write(next(to_lines(self._start.model_copy(update={"sequence": sequence}))))
