"""ACE as shipped (``ace_repo``): bullets are added and counted, and never changed or removed."""

from __future__ import annotations

from rnnprog.cells.ace import Ace, AceSettings, Edited, repaired
from rnnprog.cells.ace_asking import Addition, CurateAdditions
from rnnprog.cells.playbook import Playbook

__all__ = ["AceRepo", "AceRepoSettings"]


class AceRepoSettings(AceSettings):
    """Settings of ACE as shipped; saved with the program.

    Attributes:
        budget: only told to the curator, as in the original; half of ``context_budget`` is the wall.
    """


class AceRepo(Ace):
    """ACE as shipped (arXiv 2510.04618, ``ace-agent/ace``): bullets are added, counted, and never changed or removed.

    Three calls a step, right or wrong: ``predictor``, ``reflector``, ``curator``; one where no evidence comes. With its
    answer the predictor names the bullets that it followed (``bullet_ids``). The reflector sees these bullets, as they
    stand when it is asked, and the evidence, so labels once they have arrived, and tags bullets; code counts; the
    curator sees the reflection and the whole playbook and adds bullets. The budget is told to the curator and nothing
    else, as there; so that prompts cannot break, additions stop at half of ``context_budget``.

    Differences from the original: the reflector sees the typed answer without reasoning, since no arm is asked for any;
    no rounds of answering again and no answer after curation, which do not enter a score by steps and which learning
    must not give; strictly step by step in place of windows of 15; numbers go on from a loaded playbook, where there
    they start at 1; line breaks are taken out of content; headings without bullets are not shown; a failed curator
    leaves the counts too.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``curate_every=5``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> cell = AceRepo("rain: float -> tomorrow")
        >>> [name for name, _ in cell.named_predictors()]
        ['predictor', 'reflector', 'curator']
    """

    name = "ace_repo"
    kind = AceRepoSettings
    curates = CurateAdditions

    def wall(self) -> int:
        """Return half of the context budget."""
        return int(self.settings.value.context_budget) // 2

    def edited(self, book: Playbook, operations: list[Addition]) -> Edited:
        """Return the playbook with the new bullets, as far as there is room in a prompt."""
        refused: list[tuple[str, str]] = []
        for operation in operations:
            more = book.add(operation.section, operation.content)
            if self.tokenizer.count(more.render()) <= self.wall():
                book = more
            else:
                refused.append((more.bullets[-1].section, more.bullets[-1].text))
        verdicts = (repaired("context", f"refused {len(refused)} bullets: no room in a prompt"),) if refused else ()
        return Edited(book, verdicts, tuple(refused))
