"""ACE in full (``ace_full``): the playbook is edited, pruned, joined and held within its budget by code."""

from __future__ import annotations

from pydantic import Field

from rnnprog.cells.ace import Ace, AceSettings, Edited, repaired
from rnnprog.cells.ace_asking import CurateEdits, Edit
from rnnprog.cells.playbook import Playbook
from rnnprog.cells.playbook_upkeep import merge_twins, prune, trim
from rnnprog.trace import Verdict

__all__ = ["AceFull", "AceFullSettings"]


class AceFullSettings(AceSettings):
    """Settings of ACE in full; saved with the program.

    Attributes:
        budget: most tokens that the playbook may take after any step.
        prune_margin: a bullet that was harmful this many times more than helpful goes.
        alike: share of words in which two bullets must agree to be joined.
    """

    prune_margin: int = Field(default=3, ge=1)
    alike: float = Field(default=1.0, gt=0, le=1)


class AceFull(Ace):
    """ACE in full (arXiv 2510.04618): bullets are added, updated, removed, pruned, joined, and held within the budget.

    Three calls a step, right or wrong: ``predictor``, ``reflector``, ``curator``; one where no evidence comes. Labels
    are seen by the reflector once they have arrived. What the paper describes and the original leaves to do is done by
    code: a bullet that was harmful ``prune_margin`` times more than helpful goes; bullets of the same words become
    one, with counts added up; over the budget whole bullets go, those that helped least first, new ones last.

    Differences from the original: those of ``ace_repo``, but for the wall; twins are found by their words, without a
    model call or embeddings.

    Args:
        task: signature string, class or :class:`~rnnprog.signatures.Task`.
        settings: all settings as one value.
        **changes: single settings by name, e.g. ``budget=1024``.

    Raises:
        ConfigurationError: an unusable task or setting.

    Example:
        >>> AceFull("rain: float -> tomorrow", budget=256).describe()["settings"]["budget"]
        256
    """

    name = "ace_full"
    kind = AceFullSettings
    curates = CurateEdits

    def wall(self) -> int:
        """Return the budget."""
        return int(self.settings.value.budget)

    def edited(self, book: Playbook, operations: list[Edit]) -> Edited:
        """Return the playbook after edits, pruning, joining and the budget."""
        settings, ruler, verdicts = self.settings.value, self.tokenizer, list[Verdict]()
        first = book.last
        lost: list[tuple[str, str]] = []
        unknown = [o.bullet for o in operations if o.type != "ADD" and book.find(o.bullet) is None]
        if unknown:
            verdicts.append(repaired("operations", f"no bullets {unknown[:5]} to edit"))
        for operation in operations:
            book = _applied(book, operation)
        fresh = {bullet.id for bullet in book.bullets if bullet.number > first}
        large = [b.id for b in book.bullets if ruler.count(b.render()) > settings.budget]
        for check, smaller in (
            ("budget", lambda b: b.without(large)),
            ("prune", lambda b: prune(b, settings.prune_margin)),
            ("twins", lambda b: merge_twins(b, settings.alike)),
            ("budget", lambda b: trim(b, settings.budget, ruler, fresh)),
        ):
            less = smaller(book)
            gone = [bullet for bullet in book.bullets if less.find(bullet.id) is None]
            if gone:
                verdicts.append(
                    repaired(check, f"took out {', '.join(bullet.id for bullet in gone[:5])} ({len(gone)})")
                )
                lost += [(bullet.section, bullet.text) for bullet in gone]
            book = less
        return Edited(book, tuple(verdicts), tuple(lost))


def _applied(book: Playbook, operation: Edit) -> Playbook:
    if operation.type == "ADD":
        return book.add(operation.section, operation.content)
    if operation.type == "UPDATE":
        return book.revise(operation.bullet, operation.content)
    return book.without([operation.bullet])
