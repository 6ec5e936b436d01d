"""MIMIC-IV's format, with made-up patients: joined, in order, and nothing that gives the diagnosis away."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.metrics import Case
from rnnprog.tasks import load_task
from rnnprog.tasks.icd import dotted, first_match, icd_acc_at, icd_code, same_diagnosis
from rnnprog.tasks.mimic_notes import KNOWN_ON_ADMISSION, LEAKING, PAPER, diagnoses, sections

ANSWER = "Zzyzx syndrome"

NOTE = f"""
Name:  ___                    Unit No:   ___

Admission Date:  ___              Discharge Date:   ___

Date of Birth:  ___             Sex:   F

Service: MEDICINE

Allergies:
No Known Allergies / Adverse Drug Reactions

Attending: ___.

Chief Complaint:
short of breath

Major Surgical or Invasive Procedure:
stent for {ANSWER}

History of Present Illness:
___ year old woman, three days of cough.
She sleeps badly.

Past Medical History:
1. COPD
2. Gout

Social History:
___
Family History:
Father had a stroke.

Physical Exam:
ADMISSION PHYSICAL EXAM:
Lungs: crackles
DISCHARGE PHYSICAL EXAM:
clear after {ANSWER}

Pertinent Results:
WBC 12 {ANSWER}

Brief Hospital Course:
Treated for {ANSWER}.
# ACUTE ISSUES
more {ANSWER}

Medications on Admission:
1. Albuterol

Discharge Medications:
1. something for {ANSWER}

Discharge Disposition:
Home, {ANSWER}

Facility:
{ANSWER} house

Discharge Diagnosis:
PRIMARY: {ANSWER} (type II, mild), COPD exacerbation
SECONDARY DIAGNOSIS:
- Gout

Discharge Condition:
Mental Status: Clear. {ANSWER}

Discharge Instructions:
You came with {ANSWER}.

Followup Instructions:
___ {ANSWER}
"""

TABLES: dict[str, list[dict[str, Any]]] = {
    "admissions": [
        {"subject_id": "10000032", "hadm_id": "22", "admittime": "2180-06-26 18:27:00", "dischtime": "2180-06-27"},
        {"subject_id": "10000032", "hadm_id": "21", "admittime": "2180-05-06 22:23:00", "dischtime": "2180-05-07"},
        {"subject_id": "10000099", "hadm_id": "31", "admittime": "2110-01-01 00:00:00", "dischtime": "2110-01-02"},
        {"subject_id": "10000040", "hadm_id": "41", "admittime": "2150-01-01 00:00:00", "dischtime": "2150-01-02"},
        {"subject_id": "10000040", "hadm_id": "42", "admittime": "2151-01-01 00:00:00", "dischtime": "2151-01-02"},
        {"subject_id": "10000040", "hadm_id": "43", "admittime": "2152-01-01 00:00:00", "dischtime": "2152-01-02"},
    ],
    "diagnoses_icd": [
        {"hadm_id": "21", "seq_num": "2", "icd_code": "4280", "icd_version": "9"},
        {"hadm_id": "21", "seq_num": "1", "icd_code": "5715 ", "icd_version": "9"},
        {"hadm_id": "22", "seq_num": "1", "icd_code": "I509", "icd_version": "10"},
        {"hadm_id": "31", "seq_num": "1", "icd_code": "I509", "icd_version": "10"},
        {"hadm_id": "41", "seq_num": "1", "icd_code": "I509", "icd_version": "10"},
        {"hadm_id": "43", "seq_num": "1", "icd_code": "I509", "icd_version": "10"},
    ],
    "d_icd_diagnoses": [
        {"icd_code": "4280", "icd_version": "9", "long_title": "Congestive heart failure, unspecified"},
        {"icd_code": "5715", "icd_version": "9", "long_title": "Cirrhosis of liver without mention of alcohol"},
        {"icd_code": "I509", "icd_version": "10", "long_title": "Heart failure, unspecified"},
    ],
    "discharge": [
        {"hadm_id": stay, "note_type": kind, "note_seq": number, "text": text}
        for stay, kind, number, text in [
            ("21", "AD", "19", f"Addendum {ANSWER}"),
            ("21", "DS", "22", "Chief Complaint:\na later version\n"),
            ("21", "DS", "21", NOTE),
            ("22", "DS", "23", NOTE.replace("short of breath", "chest pain")),
            ("41", "DS", "24", NOTE),
            ("43", "DS", "25", NOTE),
        ]
    ],
}
PATIENT = {row["hadm_id"]: row["subject_id"] for row in TABLES["admissions"]}


def write(folder: Path, tables: dict[str, list[dict[str, Any]]] | None = None) -> Path:
    for name, rows in (TABLES if tables is None else tables).items():
        full = []
        for row in rows:
            patient = {"subject_id": PATIENT[row["hadm_id"]]} if "hadm_id" in row and "subject_id" not in row else {}
            admission = {"admission_type": "EW EMER.", "admission_location": "EMERGENCY ROOM"}
            end = {"discharge_location": "HOME", "hospital_expire_flag": "0"}
            full.append({**patient, **row, **(admission | end if name == "admissions" else {})})
        path = folder / ("note" if name == "discharge" else "hosp") / f"{name}.csv.gz"
        path.parent.mkdir(exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(full[0]))
            writer.writeheader()
            writer.writerows(full)
    return folder


def test_visits_of_a_patient_in_order_with_coded_diagnoses(tmp_path: Path) -> None:
    data = load_task("mimic_iv", path=write(tmp_path))
    assert [(s.id, len(s), s.meta) for s in data] == [
        ("10000032", 2, {"skipped_stays": 0}),
        ("10000040", 2, {"skipped_stays": 1}),
    ]
    first, second = data.sequences[0].steps
    assert first.target == {
        "diagnoses": [
            "571.5 Cirrhosis of liver without mention of alcohol",
            "428.0 Congestive heart failure, unspecified",
        ]
    }
    assert second.target == {"diagnoses": ["I50.9 Heart failure, unspecified"]}
    assert (first.time, second.inputs["chief_complaint"]) == ("2180-05-06 22:23:00", "chest pain")
    assert first.inputs["history_of_present_illness"] == "___ year old woman, three days of cough.\nShe sleeps badly."
    assert first.inputs["past_medical_history"] == "1. COPD\n2. Gout"
    assert first.inputs["physical_exam"] == "Lungs: crackles"
    assert first.inputs["medications_on_admission"] == "1. Albuterol"
    assert first.inputs["social_history"] == "___"
    assert data.metrics == ("icd_acc@1[diagnoses]", "icd_acc@5[diagnoses]")


PEOPLE = [
    {"subject_id": "10000032", "gender": "F", "anchor_age": "52", "anchor_year": "2180"},
    {"subject_id": "10000040", "gender": "M", "anchor_age": "30", "anchor_year": "2149"},
    {"subject_id": "10000099", "gender": "M", "anchor_age": "x", "anchor_year": "2100"},  # has one stay only
]


def test_the_fields_of_the_paper_with_age_in_the_shifted_calendar(tmp_path: Path) -> None:
    data = load_task("mimic_iv", path=write(tmp_path, {**TABLES, "patients": PEOPLE}), fields="llm-as-rnn")
    assert list(data.task.inputs) == list(PAPER)
    assert [(s.inputs["age"], s.inputs["gender"]) for q in data for s in q.steps] == [
        ("52", "F"),
        ("52", "F"),
        ("31", "M"),
        ("33", "M"),
    ]
    assert data.sequences[0].steps[1].inputs["chief_complaint"] == "chest pain"


def test_people_are_read_only_where_they_are_asked_for_and_must_be_there(tmp_path: Path) -> None:
    folder = write(tmp_path)
    load_task("mimic_iv", path=folder)
    with pytest.raises(DataError, match="no patients"):
        load_task("mimic_iv", path=folder, fields=["age"])
    write(tmp_path, {"patients": PEOPLE[1:]})
    with pytest.raises(DataError, match="no patient '10000032'"):
        load_task("mimic_iv", path=folder, fields=["age"])
    write(tmp_path, {"patients": [{**PEOPLE[0], "anchor_age": ""}, PEOPLE[1]]})
    with pytest.raises(DataError, match="not whole numbers"):
        load_task("mimic_iv", path=folder, fields=["chief_complaint", "gender"])


def test_ranked_answers_are_scored_by_code(tmp_path: Path) -> None:
    data = load_task("mimic_iv", path=write(tmp_path))
    first, fifth = data.split(0.5, 0).train.scoring()
    target = data.sequences[0].steps[0].target

    def case(*answers: str) -> Case:
        return Case("s", 0, {"diagnoses": [*answers]}, target)

    late = case("R05 Cough", "J44.9 COPD", "428.1 Left heart failure")
    assert (first.of(late), fifth.of(late)) == (0.0, 1.0)
    assert first.of(case("Cirrhosis of liver without mention of alcohol")) == 1.0
    assert fifth.of(case()) == 0.0
    assert not first.scorable(Case("s", 0, {"diagnoses": []}, None))
    with pytest.raises(ConfigurationError, match="at least 1"):
        icd_acc_at(0, "diagnoses")


def test_nothing_in_an_observation_gives_the_answer_away(tmp_path: Path) -> None:
    for labels in ("icd", "note"):
        data = load_task("mimic_iv", path=write(tmp_path), labels=labels)
        for sequence in data:
            for step in sequence.steps:
                assert set(step.inputs) == set(KNOWN_ON_ADMISSION)
                assert ANSWER not in str(step.inputs)


def test_labels_from_the_note(tmp_path: Path) -> None:
    data = load_task("mimic_iv", path=write(tmp_path), labels="note", n_diagnoses=2)
    assert data.sequences[0].steps[0].target == {"diagnoses": [f"{ANSWER} (type II, mild)", "COPD exacerbation"]}


HEADINGS = [
    "BRIEF HOSPITAL COURSE",
    "Brief Hospital Course:",
    "Hospital Course by Problem:",
    "=== Summary of hospital course ===",
    "Discharge exam",
    "On discharge",
    "DISCHARGE LABS:",
    "Discharge Diagnoses",
    "FINAL DIAGNOSIS:",
    "Primary diagnosis:",
    "TRANSITIONAL ISSUES",
    "Transitional Issues:",
    "# ACUTE ISSUES:",
    "ASSESSMENT AND PLAN:",
    "Follow-up Instructions:",
    "Discharge Disposition: Extended Care",
]


@pytest.mark.parametrize("heading", HEADINGS)
def test_whatever_the_heading_of_the_end_of_the_stay_is(heading: str) -> None:
    for before in (h for all_ in KNOWN_ON_ADMISSION.values() for h in all_):
        for indent in ("", "  ", "\t"):
            note = f"{before.title()}:\nkept\n{indent}{heading}\nit was {ANSWER}\n\nmore {ANSWER}\n"
            cut = sections(note)
            seen = {name: text for name, text in cut.items() if name and name not in LEAKING}
            assert list(seen.values()) == ["kept"]


def test_without_notes_the_admission_is_observed(tmp_path: Path) -> None:
    write(tmp_path, {name: rows for name, rows in TABLES.items() if name != "discharge"})
    data = load_task("mimic_iv", path=tmp_path, n_patients=1, min_visits=1)
    assert [step.inputs for step in data.sequences[0].steps] == [
        {"admission_type": "EW EMER.", "admission_location": "EMERGENCY ROOM"}
    ] * 2
    with pytest.raises(DataError, match=r"no discharge\.csv"):
        load_task("mimic_iv", path=tmp_path, labels="note")


def changed(table: str, at: int, **cells: str) -> dict[str, list[dict[str, Any]]]:
    rows = [{**row, **(cells if i == at else {})} for i, row in enumerate(TABLES[table])]
    return {**TABLES, table: rows}


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({}, r"no admissions\.csv"),
        (changed("discharge", 2, subject_id="7"), r"discharge\.csv\.gz, row 4, column 'subject_id'.*'21'.*'7' here"),
        (changed("diagnoses_icd", 0, icd_code="Q0"), r"diagnoses_icd\.csv\.gz, row 2, .*ICD-9 code 'Q0' has no title"),
        (changed("diagnoses_icd", 0, seq_num="x"), "row 2, column 'seq_num': 'x' is no whole number"),
        (changed("admissions", 1, hadm_id="22"), "row 3, column 'hadm_id': stay '22' is there twice"),
        (changed("admissions", 1, admittime=""), "row 3: .*admittime is empty"),
        ({**TABLES, "d_icd_diagnoses": [{"icd_code": "1", "icd_version": "9"}]}, "no column 'long_title'.*MIMIC-III"),
    ],
)
def test_tables_that_do_not_fit(tables: dict[str, list[dict[str, Any]]], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        load_task("mimic_iv", path=write(tmp_path, tables))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fields": ["hospital_course"]}, "gives the diagnosis away"),
        ({"fields": "age, hospital_course"}, "'hospital_course' gives the diagnosis away"),
        ({"fields": ["weather"]}, "have no field 'weather'"),
        ({"fields": []}, "no fields"),
        ({"labels": "both"}, "choose 'icd' or 'note'"),
        ({"min_visits": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_task("mimic_iv", path=write(tmp_path), **options)


def test_too_few_visits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lower min_visits"):
        load_task("mimic_iv", path=write(tmp_path), min_visits=3)


def test_lists_of_diagnoses() -> None:
    section = (
        "Primary Diagnoses:\n#1) Acute kidney injury\n* E. coli (ESBL,\n resistant) infection; Anemia\n\nOther:\nanemia"
    )
    assert diagnoses(section) == ["Acute kidney injury", "E. coli (ESBL,  resistant) infection", "Anemia"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I50.9", "I509"),
        ("i509 heart failure", "I509"),
        ("1. I50.9: heart failure", None),
        ("ICD-10: I50.9 heart failure", "I509"),
        ("Heart failure [ICD-9-CM: 428.0]", "4280"),
        ("428.0 CHF", "4280"),
        ("486", "486"),
        ("486 days of cough", None),
        ("H1N1 influenza", None),
        ("B12 deficiency", "B12"),
        ("E849.0 home accident", "E8490"),
        ("Z3A.20 20 weeks", "Z3A20"),
        ("C7A.010 carcinoid", "C7A010"),
        ("heart failure", None),
        ("T4 level low", None),
    ],
)
def test_codes_in_answers(text: str, code: str | None) -> None:
    assert icd_code(text) == code


@given(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), st.integers(0, 99), st.text("0123456789", max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_code_is_itself_however_written(letter: str, number: int, rest: str) -> None:
    code = f"{letter}{number:02d}{rest}"
    written = dotted(code, 10)
    assert icd_code(f"{written} some name") == code
    assert same_diagnosis(f"some name ({written})", f"{code} other name", level="code")


def test_matching_by_code() -> None:
    assert same_diagnosis("E87.1 hyponatremia", "E87.6 hypokalemia")
    assert same_diagnosis("E871", "E87.1 Hypo-osmolality and hyponatremia", level="code")
    assert same_diagnosis("E849", "E849 Place of occurrence")
    assert not same_diagnosis("E849.0 at home", "E848.0 elsewhere")
    assert same_diagnosis("E11.9 diabetes", "E11.65 diabetes with hyperglycemia")
    assert same_diagnosis("heart failure, unspecified", "I50.9 Heart failure, unspecified")
    assert not same_diagnosis("heart failure", "I50.9 Heart failure, unspecified")
    assert first_match(["J18.9", "nothing"], ["I50.9 Heart failure, unspecified"]) is None
