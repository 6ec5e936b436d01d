"""Age and sex of MIMIC-IV's patients on admission, from the ``patients`` table."""

from __future__ import annotations

from collections.abc import Collection

from rnnprog.errors import DataError
from rnnprog.tasks.table import Table, show

__all__ = ["PEOPLE_COLUMNS", "PEOPLE_FIELDS", "Person", "people"]

PEOPLE_FIELDS = ("age", "gender")
"""Fields that this table gives to an observation."""

PEOPLE_COLUMNS = ("subject_id", "gender", "anchor_age", "anchor_year")

Person = tuple[int, str]
"""Year in which the patient would be 0, in the patient's own shifted calendar, and gender as the table has it."""


def people(table: Table, wanted: Collection[str]) -> dict[str, Person]:
    """Return the people that are asked for, by their number.

    MIMIC-IV gives the age in one year of a calendar that is shifted for each patient, and 91 for all above 89.

    Raises:
        DataError: an age or a year that is no whole number, or a patient who is missing.
    """
    found: dict[str, Person] = {}
    for row in table:
        patient = row.cells["subject_id"]
        if patient in wanted:
            try:
                born = int(row.cells["anchor_year"]) - int(row.cells["anchor_age"])
            except ValueError:
                said = show(f"{row.cells['anchor_year']}, {row.cells['anchor_age']}")
                raise DataError(
                    f"{table.place(row)}: anchor_year and anchor_age are {said}, not whole numbers"
                ) from None
            found[patient] = (born, row.cells["gender"] or "not stated")
    if lacking := sorted(set(wanted) - set(found)):
        raise DataError(f"{table.source}: no patient {lacking[0]!r}, who has stays; use tables of one version")
    return found
