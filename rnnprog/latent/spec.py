"""Which write rule meets which read path: the six methods by name, and any other pair by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from rnnprog.latent.errors import CapacityError, LatentError

WriteName = Literal["attention", "hebbian", "slots", "ring", "addressed"]
ReadName = Literal["prefix", "parallel", "extension", "gated"]
Initial = Literal["zeros", "normal", "identity", "default"]
Form = Literal["paper", "proxy", "repaired"]

METHODS = ("M.0", "M.1", "M.2", "M.3", "M.4", "M.5", "M.6")
_CAPACITY = {1: {"rows": 64, "hebbian": 256}, 10: {"rows": 640, "hebbian": 810}}


def _known(what: str, name: str, names: Any) -> None:
    if name not in get_args(names):
        raise LatentError(f"no {what} {name!r}: choose among {', '.join(get_args(names))}")


@dataclass(frozen=True)
class WriteSpec:
    """How a turn enters the bank.

    ``rows`` is the number of rows of the bank (for ``hebbian``: the side of its square matrix); ``decay`` is gamma, per
    turn; ``clamp`` divides a Hebbian matrix by its norm above 1 (equation 16); ``trained`` lets gradients through.

    >>> WriteSpec("slots", rows=4, top_k=8)
    Traceback (most recent call last):
      ...
    rnnprog.latent.errors.CapacityError: top_k=8 slots cannot be written in a bank of 4: raise rows or lower top_k
    """

    rule: WriteName
    rows: int = 64
    decay: float = 0.95
    top_k: int = 8
    clamp: bool = True
    trained: bool = False
    sharpness: float = 20.0

    def __post_init__(self) -> None:
        if not isinstance(self.rows, int) or isinstance(self.rows, bool) or self.rows < 1:
            raise CapacityError(f"rows={self.rows}: a bank needs a whole number of rows, at least one")
        _known("write rule", self.rule, WriteName)
        if not 0.0 < self.decay <= 1.0:
            raise LatentError(f"decay={self.decay} is outside (0, 1]: 1.0 forgets nothing, 0.95 is the paper's value")
        if self.rule == "slots" and self.top_k < 1:
            raise CapacityError(f"top_k={self.top_k}: a turn is written into at least one slot")
        if self.rule == "slots" and self.top_k > self.rows:
            raise CapacityError(
                f"top_k={self.top_k} slots cannot be written in a bank of {self.rows}: raise rows or lower top_k"
            )


@dataclass(frozen=True)
class ReadSpec:
    """How the bank reaches the frozen model.

    ``as_positions`` is the "extra positions" form that was really run for the published tables: whatever the path, its
    output becomes rows behind the encoder's. ``masked`` hides rows never written (False reproduces the published
    behaviour, in which zero rows still take attention); ``normalised`` scales every row to unit RMS at read time.
    """

    path: ReadName
    as_positions: bool = False
    initial: Initial = "zeros"
    masked: bool = True
    normalised: bool = False

    def __post_init__(self) -> None:
        _known("read path", self.path, ReadName)
        _known("start", self.initial, Initial)


@dataclass(frozen=True)
class MethodSpec:
    """A write rule and a read path under one name; both absent means the stateless baseline."""

    name: str
    write: WriteSpec | None
    read: ReadSpec | None

    def __post_init__(self) -> None:
        if (self.write is None) != (self.read is None):
            raise LatentError(f"{self.name}: a write rule needs a read path and the reverse; leave out both or neither")

    @property
    def stateless(self) -> bool:
        """Whether there is no memory at all (M.0)."""
        return self.write is None


def _paper(name: str) -> tuple[WriteSpec | None, ReadSpec | None]:
    attention = WriteSpec("attention")
    table: dict[str, tuple[WriteSpec | None, ReadSpec | None]] = {
        "M.0": (None, None),
        "M.1": (attention, ReadSpec("prefix", initial="normal")),
        "M.2": (attention, ReadSpec("parallel", initial="default")),
        "M.3": (attention, ReadSpec("extension")),
        "M.4": (WriteSpec("hebbian"), ReadSpec("extension")),
        "M.5": (attention, ReadSpec("gated", initial="default")),
        "M.6": (WriteSpec("slots"), ReadSpec("extension")),
    }
    return table[name]


def _repaired(name: str) -> tuple[WriteSpec | None, ReadSpec | None]:
    ring = WriteSpec("ring", decay=1.0)
    addressed = WriteSpec("addressed", decay=1.0)
    identity = ReadSpec("extension", initial="identity")
    table: dict[str, tuple[WriteSpec | None, ReadSpec | None]] = {
        "M.0": (None, None),
        "M.1": (ring, ReadSpec("prefix", initial="identity")),
        "M.2": (addressed, ReadSpec("parallel", initial="identity")),
        "M.3": (ring, identity),
        "M.4": (WriteSpec("hebbian", clamp=False, trained=True), ReadSpec("extension")),
        "M.5": (ring, ReadSpec("gated", initial="identity")),
        "M.6": (addressed, identity),
    }
    return table[name]


def method(
    name: str,
    *,
    form: Form = "paper",
    capacity: int = 1,
    rows: int | None = None,
    decay: float | None = None,
    top_k: int | None = None,
) -> MethodSpec:
    """One of the six methods (or M.0) by name.

    Use it wherever a ``MethodSpec`` is wanted. ``form="paper"`` follows the equations, ``"proxy"`` the extra-positions
    form with every row visible, ``"repaired"`` the variants that recall. ``capacity`` is 1 or 10 (the paper's two
    scales); ``rows`` overrides it.

    Raises ``LatentError`` for an unknown name, form or capacity.

    >>> method("M.4", capacity=10).write.rows
    810
    >>> method("M.3", form="repaired", rows=420).read.initial
    'identity'
    >>> method("M.9")
    Traceback (most recent call last):
      ...
    rnnprog.latent.errors.LatentError: no method 'M.9': choose one of M.0, M.1, M.2, M.3, M.4, M.5, M.6

    Source: arXiv 2603.16413, sections 3-4 (equations 3-29) and its list of hyper-parameters.
    """
    if name not in METHODS:
        raise LatentError(f"no method {name!r}: choose one of {', '.join(METHODS)}")
    if form not in ("paper", "proxy", "repaired"):
        raise LatentError(f"no form {form!r}: choose paper, proxy or repaired")
    if capacity not in _CAPACITY:
        raise LatentError(f"capacity={capacity}: the named scales are 1 and 10; pass rows= for any other size")
    write, read = _repaired(name) if form == "repaired" else _paper(name)
    if write is None or read is None:
        return MethodSpec(name, None, None)
    size = rows if rows is not None else _CAPACITY[capacity]["hebbian" if write.rule == "hebbian" else "rows"]
    kept = top_k if top_k is not None else min(write.top_k, size)
    write = replace(write, rows=size, decay=write.decay if decay is None else decay, top_k=kept)
    if form == "proxy":
        initial: Initial = "zeros" if read.path in ("prefix", "extension") else read.initial
        read = replace(read, as_positions=True, masked=False, initial=initial)
    label = name if form == "paper" else f"{name} ({form})"
    return MethodSpec(label, write, read)
