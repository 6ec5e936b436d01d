"""The hard token budget: whole items go, lowest priority first, until the memory fits."""

from __future__ import annotations

from rnnprog.errors import ConfigurationError
from rnnprog.memory import Memory, MemorySection, Value
from rnnprog.schema import MemorySchema
from rnnprog.tokens import Tokenizer

__all__ = ["Fitted", "check_budget", "fit", "memory_tokens"]


class Fitted(Value):
    """A memory within its budget.

    Attributes:
        memory: the memory that fits.
        tokens: its length in tokens as rendered.
        dropped: the items that had to go, as (section key, text), in the order in which they went.
    """

    memory: Memory
    tokens: int
    dropped: tuple[tuple[str, str], ...] = ()


def memory_tokens(memory: Memory, tokenizer: Tokenizer) -> int:
    """Return the length in tokens of the memory as it stands in a prompt."""
    return tokenizer.count(memory.render())


def check_budget(schema: MemorySchema, budget: int, tokenizer: Tokenizer) -> None:
    """Refuse a budget that cannot even hold the schema's empty headings.

    Raises:
        ConfigurationError: with the smallest budget that would do.
    """
    need = memory_tokens(schema.bare(), tokenizer)
    if budget < need:
        raise ConfigurationError(
            f"memory budget {budget} tokens is too small: the empty headings of the schema alone take {need} "
            f"({tokenizer.name}); raise the budget or use fewer or shorter headings"
        )


def fit(memory: Memory, budget: int, schema: MemorySchema, tokenizer: Tokenizer) -> Fitted:
    """Return the memory within ``budget`` tokens, dropping whole items where it must.

    Items go from the section of lowest priority first, last item of a section first (a memory lists the most
    important first); pinned sections go after all others. No item is ever cut. A budget that passed
    :func:`check_budget` can always be met.

    Args:
        memory: the candidate, of the given schema.
        budget: limit in tokens of the rendered text.
        schema: gives priorities and pins.
        tokenizer: the ruler.
    """
    tokens = memory_tokens(memory, tokenizer)
    if tokens <= budget:
        return Fitted(memory=memory, tokens=tokens)
    order = _drop_order(memory, schema)
    low, high = 1, len(order)
    while low < high:  # the token count falls with each item dropped, so the cut can be bisected
        middle = (low + high) // 2
        if memory_tokens(_drop(memory, order[:middle]), tokenizer) <= budget:
            high = middle
        else:
            low = middle + 1
    cut = min(low, len(order))
    smaller = _drop(memory, order[:cut])
    while (tokens := memory_tokens(smaller, tokenizer)) > budget and cut < len(order):
        cut += 1
        smaller = _drop(memory, order[:cut])
    dropped = tuple((key, memory.section(key).items[index]) for key, index in order[:cut])
    return Fitted(memory=smaller, tokens=tokens, dropped=dropped)


def _drop_order(memory: Memory, schema: MemorySchema) -> list[tuple[str, int]]:
    rank = {spec.key: (spec.pinned, spec.priority) for spec in schema.sections}
    sections = sorted(memory.sections, key=lambda section: rank.get(section.key, (False, 0)))
    return [(s.key, index) for s in sections for index in reversed(range(len(s.items)))]


def _drop(memory: Memory, gone: list[tuple[str, int]]) -> Memory:
    keep = {section.key: len(section.items) for section in memory.sections}
    for key, index in gone:
        keep[key] = min(keep[key], index)
    return Memory(
        sections=tuple(MemorySection(key=s.key, title=s.title, items=s.items[: keep[s.key]]) for s in memory.sections)
    )
