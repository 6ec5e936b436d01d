"""Orders that the embedded model obeys when they stand in an instruction.

Each phase has its own. An order counts wherever one of its phrasings stands in the phase's instruction, unless a word
such as "not" or "never" stands right before it. Text in a memory, an observation or evidence never gives orders.

Rewriter:

- ``counts``: "keep counts", "count how often", "tally". Keeps counts and averages.
- ``conditions``: "state conditions", "name the condition", "say when". Keeps a note per condition.
- ``recent``: "weigh recent evidence more", "forget old evidence", "adapt quickly". Halves old counts when surprised.
- ``lasting``: "weigh all steps equally", "never forget". Forgets nothing; without it older steps fade slowly.
- ``pairs``: "pairs of conditions", "combine conditions". Also keeps notes on two fields together.
- ``brief``: "be brief", "few notes", "only the most important". Keeps at most a dozen notes.

Predictor:

- ``rules_first``: "rules before counts", "trust the memory's rule over". The first fitting rule decides.
- ``errors_first``: "trust the recent errors", "recent errors over counts". Leans on the recent misses.
- ``hedge``: "hedge", "be cautious", "stay close to the average". Halves what conditions say.
- ``ignore_memory``: "ignore the notes", "do not use the memory". Answers as if the memory were empty.

Reflector; what it then writes is heeded by the rewriter, which reads the critique:

- ``doubt``: "say whether the notes still hold", "say if the pattern changed". After an error the critique says that
  the notes on such steps may no longer hold; the rewriter then halves the old counts that the outcome contradicts.
- ``outcome_only``: "say only what the outcome was", "name no cause". Cause and lesson stay empty; the rewriter notes
  errors without their causes, which leaves room for other notes. Wins over ``doubt``.

``counts`` and ``conditions`` stand in the default instruction of the rewriter; without them the notes get poorer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache

__all__ = ["Directives", "read_directives"]

_RECENT = r"(?:recent|latest|newer|new|the last)"
_STEPS = r"(?:evidence|steps?|outcomes?|observations?|experiences?|data|counts|cases)"
_NOTES = r"(?:the |your |any )?(?:notes|memory)"
_PHRASES: dict[str, tuple[str, ...]] = {
    "counts": (
        r"(?:keep|give|use|update|state|maintain|record|note)(?: the| exact| running)? (?:counts?|frequenc\w+|tall\w+)",
        r"count how (?:often|many)",
        r"with counts",
        r"\btally\b",
        r"how often each",
    ),
    "conditions": (
        r"(?:state|give|name|keep|specify|include|note)(?: the| its| their| all)? conditions?",
        r"say (?:when|under which conditions?)",
        r"under (?:which|what) conditions?",
        r"when (?:each|it|they|a note) holds?",
        r"conditions and counts",
    ),
    "recent": (
        rf"(?:weigh|weight|value|trust|favou?r|prefer|prioriti[sz]e)(?: the)?(?: most)? {_RECENT} {_STEPS}",
        rf"(?:more|greater|extra|higher) weight (?:to|on) (?:the )?(?:most )?{_RECENT}",
        rf"forget(?: the)? (?:old|older|stale) {_STEPS}",
        rf"discount(?: the)? (?:old|older|stale) {_STEPS}",
        r"adapt (?:quickly|fast)",
        r"old counts (?:fade|decay)",
    ),
    "lasting": (
        rf"(?:weigh|weight|treat) (?:all|every|each) {_STEPS} (?:equally|alike|the same)",
        r"(?:never|do not|don't) forget",
        rf"keep (?:all|every)(?: the)?(?: old)? {_STEPS}",
        r"equal weight",
    ),
    "pairs": (
        r"pairs? of (?:conditions?|fields|values|signs)",
        r"(?:combine|combinations? of|join|pair)(?: two)? (?:conditions?|fields|signs)",
        r"conditions? (?:together|in pairs|jointly)",
        r"two conditions",
    ),
    "brief": (
        r"\bbe (?:very )?(?:brief|concise|terse)",
        r"(?:only )?(?:a )?few notes",
        r"(?:only|just) the most important",
        r"as short as possible",
        r"keep (?:it|the notes|them) short",
    ),
    "doubt": (
        r"say (?:whether|if) (?:the |your )?notes (?:may )?(?:still|no longer) hold",
        r"say (?:whether|if) (?:the |a )?(?:pattern|rule)s? (?:has |have |may have |seems? to have )?changed",
        r"(?:question|doubt) (?:the |your )?notes",
    ),
    "outcome_only": (
        r"(?:say|tell|state|write|report|give) (?:only|just|nothing but) (?:what )?the outcome",
        r"name no causes?",
        r"leave out (?:the )?cause",
    ),
    "rules_first": (
        r"rules? (?:before|over|above|rather than|instead of)(?: the)?(?: raw)? counts?",
        r"trust the (?:memory'?s |notes'? )?rules? (?:over|more|first|above|before)",
        r"rules? (?:take|takes|have|has) (?:precedence|priority)",
        r"follow the (?:first )?(?:fitting |matching )?rules? first",
    ),
    "errors_first": (
        r"trust the (?:most )?(?:recent|latest) (?:errors|misses|mistakes)",
        r"(?:recent|latest) (?:errors|misses|mistakes) (?:over|before|above|more than|outweigh)",
        r"(?:learn|start) from the (?:recent|latest) (?:errors|misses|mistakes)",
        r"do not repeat (?:a |the )?(?:recent|latest) (?:errors?|mistakes?)",
    ),
    "hedge": (
        r"\bhedge\b",
        r"be (?:cautious|conservative)",
        r"(?:stay|keep) close to the (?:average|base rate|overall)",
        r"lean to(?:wards?)? the (?:average|base rate)",
    ),
    "ignore_memory": (
        rf"(?:ignore|disregard|skip) {_NOTES}",
        rf"do(?: not|n't) (?:use|read|trust) {_NOTES}",
    ),
}
_PATTERNS = {
    name: re.compile("|".join(f"(?:{p})" for p in phrases), re.IGNORECASE) for name, phrases in _PHRASES.items()
}
_DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bwithout|\bno)(?: \w+)?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Directives:
    """The orders that stand in one instruction; see the module's table.

    Example:
        >>> Directives(counts=True).recent
        False
    """

    counts: bool = False
    conditions: bool = False
    recent: bool = False
    lasting: bool = False
    pairs: bool = False
    brief: bool = False
    doubt: bool = False
    outcome_only: bool = False
    rules_first: bool = False
    errors_first: bool = False
    hedge: bool = False
    ignore_memory: bool = False


@lru_cache(maxsize=256)
def read_directives(instruction: str) -> Directives:
    """Find the orders in an instruction.

    Example:
        >>> found = read_directives("Keep counts. Do not state conditions. Weigh recent evidence more.")
        >>> found.counts, found.conditions, found.recent
        (True, False, True)
    """
    text = " ".join(instruction.split())
    return Directives(**{f.name: _stands(f.name, text) for f in fields(Directives)})


def _stands(name: str, text: str) -> bool:
    return any(not _DENIED.search(text[max(0, m.start() - 24) : m.start()]) for m in _PATTERNS[name].finditer(text))
