"""Hospital stays of one patient after the other: which diagnoses will this stay end with?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks.base import TaskData, make_task
from rnnprog.tasks.icd import dotted, icd_acc_at
from rnnprog.tasks.mimic_notes import KNOWN_ON_ADMISSION, check_fields, diagnoses, sections
from rnnprog.tasks.mimic_people import PEOPLE_COLUMNS, PEOPLE_FIELDS, people
from rnnprog.tasks.readers import open_table
from rnnprog.tasks.registry import register_task
from rnnprog.tasks.table import Row, Table, show
from rnnprog.trace import Fields, Sequence, Step

__all__ = ["NOT_STATED", "mimic_iv"]

NOT_STATED = "not stated"
"""Stands in an observation where a note lacks the section."""

_ADMISSION = ("admission_type", "admission_location")
_COLUMNS = {
    "admissions": ("subject_id", "hadm_id", "admittime", *_ADMISSION),
    "diagnoses_icd": ("subject_id", "hadm_id", "seq_num", "icd_code", "icd_version"),
    "d_icd_diagnoses": ("icd_code", "icd_version", "long_title"),
    "patients": PEOPLE_COLUMNS,
    "discharge": ("subject_id", "hadm_id", "note_type", "note_seq", "text"),
}


@dataclass(frozen=True)
class _Visit:
    patient: str
    stay: str
    time: str
    admission: Fields
    person: Fields = field(default_factory=dict)


@register_task("mimic_iv")
def mimic_iv(
    path: str | Path,
    labels: Literal["icd", "note"] = "icd",
    fields: Iterable[str] | Literal["llm-as-rnn"] = tuple(KNOWN_ON_ADMISSION),
    n_patients: int | None = None,
    min_visits: int = 2,
    n_diagnoses: int | None = None,
) -> TaskData:
    """Visit sequences of MIMIC-IV: predict a stay's diagnoses, ranked, from what was known on admission.

    Where to get it: MIMIC-IV (``hosp`` module) and MIMIC-IV-Note from PhysioNet, by people whom it has credentialed
    (training, signed agreement). Licence: PhysioNet Credentialed Health Data License; nothing of it may be passed
    on, and sending it to a model service needs one that PhysioNet's rules on such services allow. Nothing is
    downloaded or kept here. Times are shifted for each patient, so they compare only within one sequence.

    What is read: ``admissions``, and for ``labels="icd"`` also ``diagnoses_icd`` and ``d_icd_diagnoses``; ``discharge``
    for the notes; ``patients`` where ``age`` or ``gender`` is a field. Without notes the observation is type and
    place of admission. What is removed: hospital course, diagnosis, disposition, condition, medication, instructions
    and every other section written about the end of the stay, and from ``admissions`` the times, place and outcome
    of discharge. What is checked: columns, that a stay belongs to one patient, that every code has a title, order in
    time.

    Args:
        path: a folder with these tables, anywhere below it, as ``.csv`` or ``.csv.gz``.
        labels: ``"icd"`` for coded diagnoses, most important first, written ``"I50.9 Heart failure, unspecified"``
            (compare with :func:`~rnnprog.tasks.icd.first_match`); ``"note"`` for the note's own list, which only
            a judge can compare.
        fields: sections of the note to observe, and ``age`` and ``gender``; ``"llm-as-rnn"`` for those of the paper.
        n_patients: the first so many, by number; ``None`` for all.
        min_visits: patients with fewer usable stays are left out.
        n_diagnoses: the first so many of each stay; ``None`` for all.

    Raises:
        DataError: a missing table or column, or rows that contradict each other.
        ConfigurationError: an unusable setting, such as a field that gives the answer away.
    """
    folder = Path(path)
    if labels not in ("icd", "note"):
        raise ConfigurationError(f"mimic_iv: labels={labels!r}; choose 'icd' or 'note'")
    if min_visits < 1 or (n_patients is not None and n_patients < 1) or (n_diagnoses is not None and n_diagnoses < 1):
        raise ConfigurationError("mimic_iv: n_patients, min_visits and n_diagnoses must be at least 1")
    names = check_fields(fields)
    visits = _with_people(folder, _visits(folder, min_visits, n_patients), names)
    notes = _notes(folder, visits, required=labels == "note")
    truths = _coded(folder, visits) if labels == "icd" else _noted(notes)
    sequences = _sequences(visits, notes, truths, names, min_visits, n_diagnoses)
    if not sequences:
        raise DataError(
            f"{folder}: no patient has {min_visits} stays with an observation and a diagnosis; lower min_visits="
        )
    task = _signature(names if notes else _ADMISSION, coded=labels == "icd")
    data = make_task("mimic_iv", task, sequences, about=f"MIMIC-IV, local copy, labels: {labels}")
    if labels == "note":
        return data.with_metrics("judged")
    return data.with_metrics(icd_acc_at(1, "diagnoses"), icd_acc_at(5, "diagnoses"))


def _signature(inputs: Iterable[str], coded: bool) -> type[dspy.Signature]:
    form = "as ICD code and name, e.g. 'I50.9 Heart failure, unspecified'" if coded else "by name"
    fields: dict[str, tuple[type, object]] = {name: (str, dspy.InputField()) for name in inputs}
    fields["diagnoses"] = (list[str], dspy.OutputField(desc=f"up to five diagnoses, the likeliest first, each {form}"))
    return dspy.Signature(fields, "Predict the diagnoses with which this hospital stay of the patient will end.")  # type: ignore[no-any-return]


def _find(folder: Path, name: str) -> Path | None:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the one that holds your copy of MIMIC-IV")
    found = sorted(file for suffix in (".csv.gz", ".csv") for file in folder.rglob(f"{name}{suffix}"))
    return found[0] if found else None


def _open(folder: Path, name: str) -> Table:
    file = _find(folder, name)
    if file is None:
        raise DataError(
            f"{folder}: no {name}.csv or {name}.csv.gz in it or below; it belongs to MIMIC-IV from PhysioNet"
        )
    table = open_table(file)
    for column in _COLUMNS[name]:
        table.need(column, f"the MIMIC-IV table {name!r}", "is this file from MIMIC-IV (not MIMIC-III)?")
    return table


def _visits(folder: Path, min_visits: int, n_patients: int | None) -> dict[str, _Visit]:
    """Return the stays of the chosen patients by their number, each patient's in order of time."""
    table = _open(folder, "admissions")
    by_patient: dict[str, list[_Visit]] = {}
    seen: set[str] = set()
    for row in table:
        cells = row.cells
        visit = _Visit(
            cells["subject_id"], cells["hadm_id"], cells["admittime"], {n: cells[n] or NOT_STATED for n in _ADMISSION}
        )
        if not (visit.patient and visit.stay and visit.time):
            raise DataError(f"{table.place(row)}: subject_id, hadm_id or admittime is empty; is the file complete?")
        if visit.stay in seen:
            raise DataError(f"{table.place(row, 'hadm_id')}: stay {visit.stay!r} is there twice; is the file damaged?")
        seen.add(visit.stay)
        by_patient.setdefault(visit.patient, []).append(visit)
    if not by_patient:
        raise DataError(f"{table.source} has no data rows")
    enough = sorted((p for p, visits in by_patient.items() if len(visits) >= min_visits), key=lambda p: (len(p), p))
    chosen = (by_patient[patient] for patient in enough[:n_patients])
    return {v.stay: v for visits in chosen for v in sorted(visits, key=lambda v: (v.time, v.stay))}


def _with_people(folder: Path, visits: dict[str, _Visit], names: tuple[str, ...]) -> dict[str, _Visit]:
    if not set(names) & set(PEOPLE_FIELDS):
        return visits
    known = people(_open(folder, "patients"), {visit.patient for visit in visits.values()})

    def person(visit: _Visit) -> Fields:
        born, gender = known[visit.patient]
        return {"age": str(int(visit.time[:4]) - born), "gender": gender}

    return {stay: replace(visit, person=person(visit)) for stay, visit in visits.items()}


def _of_visits(table: Table, visits: Mapping[str, _Visit]) -> Iterator[Row]:
    """Yield the rows that belong to the chosen stays."""
    for row in table:
        visit = visits.get(row.cells["hadm_id"])
        if visit is None:
            continue
        if row.cells["subject_id"] != visit.patient:
            raise DataError(
                f"{table.place(row, 'subject_id')}: stay {visit.stay!r} belongs to patient {visit.patient!r} in "
                f"admissions and to {row.cells['subject_id']!r} here; use tables of one version"
            )
        yield row


def _number(table: Table, row: Row, column: str) -> int:
    try:
        return int(row.cells[column])
    except ValueError:
        raise DataError(f"{table.place(row, column)}: {show(row.cells[column])} is no whole number") from None


def _notes(folder: Path, visits: Mapping[str, _Visit], required: bool) -> dict[str, dict[str, str]]:
    """Return the sections of each stay's first discharge summary; empty if there are no notes and none are needed."""
    if not required and _find(folder, "discharge") is None:
        return {}
    first: dict[str, tuple[int, str]] = {}
    table = _open(folder, "discharge")
    for row in _of_visits(table, visits):
        if row.cells["note_type"] != "DS":  # AD is an addendum
            continue
        stay, number = row.cells["hadm_id"], _number(table, row, "note_seq")
        if stay not in first or number < first[stay][0]:
            first[stay] = (number, row.cells["text"])
    return {stay: sections(text) for stay, (_, text) in first.items()}


def _coded(folder: Path, visits: Mapping[str, _Visit]) -> dict[str, list[str]]:
    titles: dict[tuple[str, str], str] = {}
    for row in _open(folder, "d_icd_diagnoses"):
        titles[row.cells["icd_code"].strip(), row.cells["icd_version"]] = row.cells["long_title"]
    ranked: dict[str, list[tuple[int, str]]] = {}
    table = _open(folder, "diagnoses_icd")
    for row in _of_visits(table, visits):
        code, version = row.cells["icd_code"].strip(), row.cells["icd_version"]
        if (code, version) not in titles:
            raise DataError(
                f"{table.place(row, 'icd_code')}: ICD-{version} code {code!r} has no title in d_icd_diagnoses; "
                "use tables of one version"
            )
        text = f"{dotted(code, _number(table, row, 'icd_version'))} {titles[code, version]}"
        ranked.setdefault(row.cells["hadm_id"], []).append((_number(table, row, "seq_num"), text))
    return {stay: [text for _, text in sorted(listed)] for stay, listed in ranked.items()}


def _noted(notes: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    return {stay: diagnoses(cut.get("discharge_diagnosis", "")) for stay, cut in notes.items()}


def _sequences(
    visits: Mapping[str, _Visit],
    notes: Mapping[str, Mapping[str, str]],
    truths: Mapping[str, list[str]],
    names: tuple[str, ...],
    min_visits: int,
    n_diagnoses: int | None,
) -> list[Sequence]:
    steps: dict[str, list[Step]] = {}
    skipped: dict[str, int] = {}
    for visit in visits.values():
        truth = truths.get(visit.stay, [])[:n_diagnoses]
        if not truth or (notes and visit.stay not in notes):
            skipped[visit.patient] = skipped.get(visit.patient, 0) + 1
            continue
        cut = notes.get(visit.stay, {})
        seen = {**cut, **visit.person}
        inputs: Fields = {name: seen.get(name) or NOT_STATED for name in names} if notes else visit.admission
        step = Step(inputs=inputs, target={"diagnoses": [*truth]}, time=visit.time)
        steps.setdefault(visit.patient, []).append(step)
    return [
        Sequence(id=patient, steps=tuple(made), meta={"skipped_stays": skipped.get(patient, 0)})
        for patient, made in steps.items()
        if len(made) >= min_visits
    ]
