"""May this new memory replace the old one? A chain of small checks, each of which accepts, repairs or refuses."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from rnnprog.errors import ConfigurationError, MemoryFormatError
from rnnprog.memory import Memory, Value, well_formed
from rnnprog.schema import MemorySchema, ParsedMemory
from rnnprog.trace import Verdict

__all__ = ["Check", "Guard", "Proposal", "Reviewed", "accepted", "kept_old", "repaired"]

_KINDS: dict[str, type[Check]] = {}


class Proposal(Value):
    """What the rewriter proposes.

    Attributes:
        text: the model's answer as it came.
        parsed: the same, read by the schema, before any check touched it.
    """

    text: str
    parsed: ParsedMemory


class Check(Value):
    """Base of all checks. Subclass it, give ``kind`` a default of its own, and write :meth:`inspect`.

    A subclass is known by its ``kind`` from the moment its class statement ran: import it before you load a
    saved :class:`Guard` that holds one. Parameters are fields, so they are saved too.

    Example:
        >>> class NoShouting(Check):
        ...     kind: str = "no_shouting"
        ...
        ...     def inspect(self, old, new, proposal, schema):
        ...         if not any(text.isupper() for _, text in new.items):
        ...             return new, accepted(self.kind)
        ...         return old, kept_old(self.kind, "an item is all capitals")
        >>> guard = Guard(checks=(NoShouting(),))
        >>> Guard.model_validate_json(guard.model_dump_json()) == guard
        True
    """

    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.model_fields["kind"].default
        if not isinstance(kind, str) or not kind:
            raise ConfigurationError(f'check {cls.__name__} has no kind; write: kind: str = "some_name"')
        known = _KINDS.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ConfigurationError(
                f"check kind {kind!r} of {cls.__name__} is taken by {known.__name__}; choose another kind"
            )
        _KINDS[kind] = cls

    def inspect(self, old: Memory, new: Memory, proposal: Proposal, schema: MemorySchema) -> tuple[Memory, Verdict]:
        """Judge ``new`` against ``old``.

        Args:
            old: the memory that would be replaced.
            new: the proposed memory as the checks before this one left it.
            proposal: the proposal as it came.
            schema: the headings that both follow.

        Returns:
            The memory to go on with, and a verdict made by :func:`accepted`, :func:`repaired` or :func:`kept_old`.
            After ``kept_old`` the chain ends and the old memory stays, whatever memory is returned.
        """
        raise NotImplementedError(f"{type(self).__name__} must define inspect(old, new, proposal, schema)")


@lru_cache(maxsize=256)
def accepted(check: str, reason: str = "") -> Verdict:
    """Return the verdict that nothing was changed; a ``reason`` makes it a flag that is recorded all the same."""
    return Verdict(check=check, decision="accept", reason=reason)


def repaired(check: str, reason: str) -> Verdict:
    """Return the verdict that the memory was changed so that it may pass."""
    return Verdict(check=check, decision="repaired", reason=reason)


def kept_old(check: str, reason: str) -> Verdict:
    """Return the verdict that the old memory stays."""
    return Verdict(check=check, decision="kept_old", reason=reason)


class Reviewed(Value):
    """What a guard let through.

    Attributes:
        memory: the memory to go on with; not yet within the token budget.
        verdicts: what there is to report, in order: repairs, refusals and flags. Silent acceptance is left out, so
            an empty tuple means that every check accepted.
        kept_old: whether ``memory`` is the old memory because the new one was refused.
    """

    memory: Memory
    verdicts: tuple[Verdict, ...] = ()
    kept_old: bool = False


def _as_check(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    if kind not in _KINDS:
        raise ValueError(
            f"unknown check kind {kind!r}; known are {sorted(_KINDS)}; import the module that defines it first"
        )
    return _KINDS[kind].model_validate(value)


class Guard(Value):
    r"""A chain of checks between the rewriter and the memory. ``Guard(checks=())`` only reads the text.

    Text in which no heading of the schema stands is never a memory: the old one is kept, with or without checks.

    Attributes:
        checks: asked in this order; each sees what the one before left.

    Example:
        >>> from rnnprog.schema import MemorySchema, SectionSpec
        >>> schema = MemorySchema(sections=(SectionSpec(key="rules", title="Rules"),))
        >>> old = schema.parse("## Rules\n- Rain follows rain.").memory
        >>> reviewed = Guard().review(old, "I cannot help with that.", schema)
        >>> reviewed.kept_old, reviewed.memory == old
        (True, True)
    """

    checks: tuple[Annotated[SerializeAsAny[Check], BeforeValidator(_as_check)], ...] = ()

    def review(self, old: Memory, text: str, schema: MemorySchema) -> Reviewed:
        """Read a proposed memory and decide what of it may replace the old one.

        Args:
            old: the memory so far.
            text: the rewriter's answer.
            schema: the headings.
        """
        text = well_formed(text)
        try:
            parsed = schema.parse(text)
        except MemoryFormatError as error:
            return Reviewed(memory=old, verdicts=(kept_old("parse", str(error)),), kept_old=True)
        new, verdicts = parsed.memory, []
        if self.checks:
            proposal = Proposal(text=text, parsed=parsed)
            for check in self.checks:
                new, verdict = check.inspect(old, new, proposal, schema)
                if verdict.decision != "accept" or verdict.reason:
                    verdicts.append(verdict)
                if verdict.decision == "kept_old":
                    return Reviewed(memory=old, verdicts=tuple(verdicts), kept_old=True)
        return Reviewed(memory=new, verdicts=tuple(verdicts))
