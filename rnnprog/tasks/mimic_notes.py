"""Discharge notes of MIMIC-IV: what was known on admission, apart from what gives the diagnosis away.

A discharge note is written at the end of the stay. Only sections named in :data:`KNOWN_ON_ADMISSION` or
:data:`FOUND_DURING_STAY` can become an observation; everything else is left out, known headings or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnnprog.errors import ConfigurationError
from rnnprog.tasks.mimic_people import PEOPLE_FIELDS

__all__ = ["FOUND_DURING_STAY", "KNOWN_ON_ADMISSION", "LEAKING", "PAPER", "check_fields", "diagnoses", "sections"]

KNOWN_ON_ADMISSION: dict[str, tuple[str, ...]] = {
    "chief_complaint": ("chief complaint", "reason for admission"),
    "history_of_present_illness": ("history of present illness", "hpi"),
    "past_medical_history": ("past medical history", "pmh"),
    "social_history": ("social history",),
    "family_history": ("family history",),
    "allergies": ("allergies",),
    "medications_on_admission": ("medications on admission", "admission medications", "home medications"),
    "physical_exam": ("physical exam", "physical examination", "admission physical exam", "admission exam"),
}
"""Sections that may be observed, by field name, with the headings under which they stand."""

FOUND_DURING_STAY: dict[str, tuple[str, ...]] = {
    "pertinent_results": ("pertinent results", "admission labs"),
    "procedures": ("major surgical or invasive procedure", "major surgical or invasive procedures"),
}
"""Sections that are not the diagnosis but come after admission; observed only if asked for."""

PAPER = (
    "age",
    "gender",
    "chief_complaint",
    "physical_exam",
    "pertinent_results",
    "medications_on_admission",
    "procedures",
)
"""What the zero-shot arm of LLM-as-RNN sees of a visit: age, gender, chief complaint, vitals, labs, medication,
procedures, as far as a note has them; vitals and labs stand under the physical exam and the pertinent results. Labs
and procedures come after admission, and may name what was found."""

LEAKING = {
    "hospital_course": ("brief hospital course", "hospital course", "summary of hospital course"),
    "discharge_diagnosis": ("discharge diagnosis", "discharge diagnoses", "final diagnosis", "final diagnoses"),
    "discharge_disposition": ("discharge disposition", "facility"),
    "discharge_medications": ("discharge medications", "medications on discharge"),
    "discharge_condition": ("discharge condition",),
    "discharge_instructions": ("discharge instructions",),
    "followup_instructions": ("followup instructions", "follow-up instructions", "follow up instructions"),
}
"""Sections that give the answer away; never observed."""

_OTHER = ("name", "unit no", "admission date", "discharge date", "date of birth", "sex", "service", "attending")
_NAMED = {
    heading: field
    for group in (KNOWN_ON_ADMISSION, FOUND_DURING_STAY, LEAKING)
    for field, all_ in group.items()
    for heading in all_
}
_ANY_HEADING = "|".join(sorted(map(re.escape, (*_NAMED, *_OTHER)), key=len, reverse=True))
_HEADING = re.compile(rf"^[ \t=*#_-]*({_ANY_HEADING})[ \t]*(?::|$|[=*_-]+$)", re.IGNORECASE)
# Any line that looks like a heading and speaks of the stay or its end closes the section before it.
_SUSPECT = re.compile(
    r"hospital\W*course|\bdischarge|diagnos[ie]s\b|transitional|(?:in)?active issues|acute issues|chronic issues|"
    r"follow\W*up|deceased|expired|assessment|impression|\bplan\b|\bicd\b",
    re.IGNORECASE,
)
_LOOKS_LIKE_HEADING = re.compile(
    r"^[^:\n]{3,60}:|^[^\n]{3,60}[=*_-]{2,}\s*$|^[^a-z\n]{4,60}$|^\W*(?i:(?:at |on |upon )?discharge)\b[^\n]{0,30}$"
)


def check_fields(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the fields if every one may be observed; ``"llm-as-rnn"`` stands for :data:`PAPER`, commas part names.

    Raises:
        ConfigurationError: a field that leaks, or that notes do not have.
    """
    if isinstance(fields, str):
        fields = PAPER if fields == "llm-as-rnn" else [name.strip() for name in fields.split(",") if name.strip()]
    fields = tuple(fields)
    allowed = (*KNOWN_ON_ADMISSION, *FOUND_DURING_STAY, *PEOPLE_FIELDS)
    for name in fields:
        if name in LEAKING:
            raise ConfigurationError(
                f"field {name!r} gives the diagnosis away and cannot be observed; choose from {allowed}"
            )
        if name not in allowed:
            raise ConfigurationError(f"discharge notes have no field {name!r}; choose from {allowed}")
    if not fields:
        raise ConfigurationError(f"no fields to observe; choose from {allowed}")
    return fields


def sections(note: str) -> dict[str, str]:
    r"""Cut a note at its headings.

    Returns:
        Text by field name. What stands under a suspicious or unknown heading about the stay is under ``""``.

    Example:
        >>> cut = sections("Chief Complaint:\nchest pain\n\nBrief Hospital Course:\nSTEMI, stented.\n")
        >>> cut["chief_complaint"], cut["hospital_course"]
        ('chest pain', 'STEMI, stented.')
    """
    found: dict[str, list[str]] = {}
    field = ""
    for line in note.splitlines():
        heading = _HEADING.match(line)
        if heading:
            field = _NAMED.get(heading.group(1).lower(), "")
            line = line[heading.end() :]
        elif field not in LEAKING and _LOOKS_LIKE_HEADING.match(line) and _SUSPECT.search(line):
            field = ""
        found.setdefault(field, []).append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


_LABEL_LINE = re.compile(
    r"^\W*(?:primary|secondary|principal|final|other|chronic|acute|discharge)?\s*diagnos[ie]s\W*", re.I
)
_RANK = re.compile(r"^\W*(?:primary|secondary|principal|final|other)\s*:\s*", re.I)
_BULLET = re.compile(r"^\s*(?:[-*•#]+|\(?\d{1,2}[.)])\s*")
_COMMA = re.compile(r"[,;](?![^(\[]*[)\]])")


def diagnoses(section: str) -> list[str]:
    r"""Read the list of diagnoses out of a discharge diagnosis section, in its order, each once.

    Lines and, outside brackets, commas and semicolons part them; headings, bullets and numbers are removed.

    Example:
        >>> diagnoses("Primary Diagnosis:\n1. Pneumonia (right, lower lobe)\nSecondary: COPD, CHF")
        ['Pneumonia (right, lower lobe)', 'COPD', 'CHF']
    """
    joined = re.sub(r"\(([^()]*)\)", lambda found: found.group(0).replace("\n", " "), section)
    items: dict[str, str] = {}
    for line in joined.splitlines():
        line = _BULLET.sub("", _RANK.sub("", _LABEL_LINE.sub("", _BULLET.sub("", line))))
        for part in _COMMA.split(line):
            text = _BULLET.sub("", part).strip(" \t.:-=_*")
            if len(text) > 1:
                items.setdefault(text.lower(), text)
    return list(items.values())
