"""Shorter instructions: what a proposal added but did not need is left out again, a sentence at a time.

A writer adds more than one thing at once, and a text that wins may carry a sentence that does harm. Written proposals
build on that text and so keep the sentence; leaving one out is an edit that needs no model. Deleting phrases is one of
the edits of GrIPS (Prasad et al. 2023, "Gradient-free, edit-based instruction search").
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["sentences", "shortened"]

_END = re.compile(r"(?<=[.!?])\s+|\n+")


def sentences(text: str) -> list[str]:
    r"""Return the sentences and lines of a text.

    Example:
        >>> sentences("Keep counts. Be brief!\n- One note a line")
        ['Keep counts.', 'Be brief!', '- One note a line']
    """
    return [found.strip() for found in _END.split(text) if found.strip()]


def shortened(text: str, original: str, known: Iterable[str]) -> tuple[str, str] | None:
    """Return a text without one of the sentences that it has over the original, and that sentence; the latest first.

    Args:
        text: the text.
        original: what it started as; its sentences stay.
        known: texts that were tried already, which are not returned.

    Returns:
        ``None`` where fewer than two sentences were added, or every such text is known.

    Example:
        >>> shortened("Answer. Keep counts. Rhyme.", "Answer.", [])
        ('Answer. Keep counts.', 'Rhyme.')
        >>> shortened("Answer. Keep counts. Rhyme.", "Answer.", ["Answer. Keep counts."])
        ('Answer. Rhyme.', 'Keep counts.')
    """
    old = set(sentences(original))
    added = [sentence for sentence in sentences(text) if sentence not in old]
    seen = {" ".join(other.split()) for other in known}
    for sentence in reversed(added if len(added) > 1 else []):
        start = text.rindex(sentence)
        left = f"{text[:start].rstrip(' ')} {text[start + len(sentence) :].lstrip(' ')}".strip()
        if " ".join(left.split()) not in seen:
            return left, sentence
    return None
