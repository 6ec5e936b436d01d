"""The language of placeholders: which phrases say "there was something here", and nothing else.

A phrase counts only if it consists of such words throughout; "the wind remains unchanged when pressure is high"
has words of its own, so it is a note.
"""

from __future__ import annotations

import re

__all__ = ["EDGE", "is_placeholder", "might_begin_placeholder", "might_set_apart"]

EDGE = " \t*_~`\"'“”‘’.,;:!…–—-#"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WHICH = _words(
    "above all current earlier every everything existing former more old original other others preceding previous "
    "previously prior remainder remaining rest same"
)
_THING = _words(
    "bullet bullets cause causes code content contents detail details entries entry error errors everything "
    "example examples fact facts guideline guidelines heading headings information insight insights item items "
    "lesson lessons line lines list lists memories memory note notes observation observations others pattern "
    "patterns point points remainder rest rule rules section sections snippet snippets solution solutions "
    "strategies strategy text version"
)
_STRONG = _words(
    "elided identical intact kept maintained omitted preserved remain remained remains retained same snipped stay "
    "stays truncated unchanged unmodified untouched"
)
_WEAK = _words(
    "abbreviated above applies apply before below carried changed continue continued continues earlier follow "
    "follows go goes here hidden hold holds keep listed over previously remaining removed repeated shortened "
    "shown skipped"
)
_FILL = _words(
    "above added addition additions also and are as at be been before below brevity budget change changes due "
    "earlier else exactly far for from full has have i in is it length like limit memory mentioned my new no not "
    "now of on our per previously reasons save see so space stated still that the these they this those to tokens "
    "too update updates verbatim was were will with word your"
)
_GRAMMAR = _WHICH | _THING | _STRONG | _WEAK | _FILL
_CLEAR = _STRONG - {"remain", "remains", "remained", "same", "stay", "stays", "kept"}

_WHOLE = re.compile(
    r"(?:(?:there (?:are|is|were) )?(?:no|without)(?: further| new| other)? (?:changes?|updates?)"
    r"(?: here| needed| required| made| to this section| in this section| from (?:before|previous))?"
    r"|unchanged|remains? unchanged|unchanged from (?:before|previous|above)"
    r"|(?:the )?same as (?:above|before|previous(?:ly)?|earlier)"
    r"|as (?:above|before|previously)"
    r"|see (?:above|previous|earlier)(?: (?:items?|notes?|rules?|list|memory|section|version))?|ditto|keep as is)",
)
_MARKED = re.compile(
    r"(?:snip(?:ped)?|truncated|omitted|elided|continued|cont d|contd|same|preserved|kept|retained|trimmed|abridged"
    r"|(?:and )?\d+ (?:more|other|others)(?: \w+)?|(?:and )?(?:so on|more|others)"
    r"|(?:all |the )?(?:rest|others|remaining|previous|existing))"
)
_TOKEN = re.compile(r"[^\W_]+")

_FIRST_WORDS = _GRAMMAR | {"there", "without", "unchanged", "ditto", "keep"}


def might_set_apart(text: str) -> bool:
    """Tell whether there is any bracket or row of dots in a text; a cheap test that is never wrongly negative."""
    return "(" in text or "[" in text or ".." in text or "…" in text or "<" in text or "{" in text


def might_begin_placeholder(line: str) -> bool:
    """Tell whether a line that nothing sets apart begins as placeholders do; never wrongly negative."""
    word = _TOKEN.search(line)
    return word is not None and word[0].lower() in _FIRST_WORDS


def is_placeholder(phrase: str, *, marked: bool, inline: bool = False) -> bool:
    """Tell whether a phrase stands for content instead of being some.

    Args:
        phrase: the words, without brackets.
        marked: whether brackets or dots around it set it apart as a remark.
        inline: whether it stands inside an item, where a remark in brackets is often a real one.

    Example:
        >>> is_placeholder("previous items remain", marked=True), is_placeholder("previous items sold", marked=True)
        (True, False)
    """
    words = _TOKEN.findall(phrase.lower().replace("'s", ""))
    if not words or len(words) > 24:
        return False
    plain = " ".join(words)
    if (_WHOLE.fullmatch(plain) and not inline) or (marked and not inline and _MARKED.fullmatch(plain)):
        return True
    said = set(words)
    strong, thing = not said.isdisjoint(_STRONG), not said.isdisjoint(_THING)
    referring = not said.isdisjoint(_WHICH)
    if all(word in _GRAMMAR or word.isdigit() for word in words):
        if strong or _as_before(plain):
            return referring and (thing or (marked and not inline)) and len(words) > 1
        if marked and not inline and referring and thing and len(words) <= 5:
            return True  # "[rest of the list]", "other rules ..."
        return (marked or "still" in said) and referring and thing and not said.isdisjoint(_WEAK)
    # "[Previous memory items about 3D geometry remain unchanged]": set apart, and clear about being a reference
    return (
        marked and not inline and thing and words[0] in _WHICH | {"the"} and referring and not said.isdisjoint(_CLEAR)
    )


def _as_before(plain: str) -> bool:
    return plain.endswith(("as before", "as above", "as previously", "as earlier", "as is"))
