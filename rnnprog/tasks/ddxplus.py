"""DDXPlus as StreamBench streams it: one patient after the other, 49 possible diagnoses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks.base import TaskData, make_task
from rnnprog.tasks.readers import open_table
from rnnprog.tasks.registry import register_task
from rnnprog.tasks.table import show
from rnnprog.trace import Sequence, Step

__all__ = ["CASES", "DIAGNOSES", "SEED", "ddxplus"]

CASES = 1764
"""Cases of the test part, as StreamBench has it."""

SEED = 42
"""With which StreamBench shuffles them, by ``datasets.Dataset.shuffle``."""

DIAGNOSES = (
    "Acute COPD exacerbation / infection",
    "Acute dystonic reactions",
    "Acute laryngitis",
    "Acute otitis media",
    "Acute pulmonary edema",
    "Acute rhinosinusitis",
    "Allergic sinusitis",
    "Anaphylaxis",
    "Anemia",
    "Atrial fibrillation",
    "Boerhaave",
    "Bronchiectasis",
    "Bronchiolitis",
    "Bronchitis",
    "Bronchospasm / acute asthma exacerbation",
    "Chagas",
    "Chronic rhinosinusitis",
    "Cluster headache",
    "Croup",
    "Ebola",
    "Epiglottitis",
    "GERD",
    "Guillain-Barré syndrome",
    "HIV (initial infection)",
    "Influenza",
    "Inguinal hernia",
    "Larygospasm",
    "Localized edema",
    "Myasthenia gravis",
    "Myocarditis",
    "PSVT",
    "Pancreatic neoplasm",
    "Panic attack",
    "Pericarditis",
    "Pneumonia",
    "Possible NSTEMI / STEMI",
    "Pulmonary embolism",
    "Pulmonary neoplasm",
    "SLE",
    "Sarcoidosis",
    "Scombroid food poisoning",
    "Spontaneous pneumothorax",
    "Spontaneous rib fracture",
    "Stable angina",
    "Tuberculosis",
    "URTI",
    "Unstable angina",
    "Viral pharyngitis",
    "Whooping cough",
)
"""The pathologies of DDXPlus, spelt as the data set spells them."""


@register_task("ddxplus")
def ddxplus(
    path: str | Path, order: Literal["streambench", "file"] = "streambench", limit: int | None = None
) -> TaskData:
    """Diagnose patients one after the other, in one long stream.

    Where to get it: the ``ddxplus`` part of the Hub's ``appier-ai-research/StreamBench``, test split, saved as
    Parquet, JSON lines or CSV with the columns ``PATIENT_PROFILE`` and ``PATHOLOGY``. Licence: DDXPlus is CC BY 4.0
    (Fansi Tchango et al., 2022). Nothing is downloaded. What is checked: columns, empty cells, that every
    diagnosis is one of the 49, and, for StreamBench's order, that all 1,764 cases are there.

    Args:
        path: the file.
        order: ``"streambench"`` shuffles the complete split as StreamBench does (seed 42); ``"file"`` keeps the order.
        limit: cases to keep, after ordering; ``None`` for all.

    Raises:
        DataError: naming the file, the row and what is wrong.
        ConfigurationError: another order or limit.
    """
    if order not in ("streambench", "file") or (limit is not None and limit < 1):
        raise ConfigurationError(
            f"ddxplus: order={order!r}, limit={limit}; choose 'streambench' or 'file', and at least 1"
        )
    rows = _rows(path)
    if order == "streambench":
        if len(rows) != CASES:
            raise DataError(
                f"{path} has {len(rows)} cases, StreamBench's test part has {CASES}: its order needs all of them; "
                "save the complete split, or pass order='file'"
            )
        from datasets import Dataset

        rows = Dataset.from_list(rows).shuffle(seed=SEED).to_list()
    steps = tuple(
        Step(inputs={"profile": row["profile"]}, target={"diagnosis": row["diagnosis"]}) for row in rows[:limit]
    )
    return make_task("ddxplus", _signature(), [Sequence(id="ddxplus", steps=steps)], about=f"DDXPlus, order: {order}")


def _signature() -> type[dspy.Signature]:
    fields = {
        "profile": (str, dspy.InputField(desc="what the patient says, has had, and shows")),
        "diagnosis": (Literal[DIAGNOSES], dspy.OutputField()),
    }
    return dspy.Signature(fields, "Diagnose the patient.")  # type: ignore[no-any-return]


def _rows(path: str | Path) -> list[dict[str, Any]]:
    table = open_table(path)
    for column, what_for in (("PATIENT_PROFILE", "the observation"), ("PATHOLOGY", "the diagnosis")):
        table.need(column, what_for, "save the ddxplus part of StreamBench as it is")
    known = {name.lower(): name for name in DIAGNOSES}
    rows = []
    for row in table:
        profile = str(table.cell(row, "PATIENT_PROFILE", "the observation") or "").strip()
        pathology = str(table.cell(row, "PATHOLOGY", "the diagnosis") or "").strip()
        if not profile:
            raise DataError(f"{table.place(row, 'PATIENT_PROFILE')}: empty; save the split again")
        if pathology.lower() not in known:
            raise DataError(
                f"{table.place(row, 'PATHOLOGY')}: {show(pathology)} is none of the {len(known)} diagnoses of DDXPlus "
                "(English names, e.g. 'GERD')"
            )
        rows.append({"profile": profile, "diagnosis": known[pathology.lower()]})
    if not rows:
        raise DataError(f"{path} has no data rows")
    return rows
