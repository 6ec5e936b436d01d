"""Comparing diagnoses by their ICD code: strict, by category, and without a judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rnnprog.errors import ConfigurationError
from rnnprog.metrics import Case, Metric

__all__ = ["Level", "dotted", "first_match", "icd_acc_at", "icd_code", "same_diagnosis"]

Level = Literal["code", "category"]

# ICD-10: letter, digit, digit or A/B (C7A, M1A, Z3A), up to four more. ICD-9: V and two digits, E and three, or three.
_TEN = r"[A-Z]\d[0-9AB](?:\.?[0-9A-Z]{1,4})?"
_NINE = r"E\d{3}(?:\.?\d)?|\d{3}\.\d{1,2}|\d{4,5}"
_PREFIX = r"(?:ICD-?\s?(?:9|10)(?:-?CM)?\s*[:\s]\s*)?"
_LEADING = re.compile(rf"^\W*{_PREFIX}({_NINE}|{_TEN}|\d{{3}}$)(?=$|[\s,:;)\]-])", re.IGNORECASE)
_BRACKETED = re.compile(rf"[(\[]\s*{_PREFIX}({_NINE}|{_TEN}|\d{{3}})\s*[)\]]", re.IGNORECASE)
_NO_WORD = re.compile(r"\W+")


def dotted(code: str, version: int) -> str:
    """Write a code as it stands in hospital tables (without a dot) the usual way.

    Example:
        >>> dotted("I509", 10), dotted("4280", 9), dotted("E8490", 9)
        ('I50.9', '428.0', 'E849.0')
    """
    code = code.strip().upper()
    at = 4 if version == 9 and code.startswith("E") else 3
    return code if len(code) <= at else f"{code[:at]}.{code[at:]}"


def icd_code(text: str) -> str | None:
    """Return the code that a diagnosis starts with or has in brackets, in capitals without the dot.

    Example:
        >>> icd_code("I50.9 Heart failure"), icd_code("Heart failure (ICD-9: 428.0)"), icd_code("H1N1 influenza")
        ('I509', '4280', None)
    """
    found = _LEADING.search(text) or _BRACKETED.search(text)
    return found.group(1).replace(".", "").upper() if found else None


def same_diagnosis(answer: str, truth: str, level: Level = "category") -> bool:
    """Say whether two diagnoses are the same by code.

    Args:
        answer: ``"I50.9 Heart failure"``, ``"Heart failure (I50.9)"``, a code alone, or a name alone, which counts
            only if it is the truth's name word for word.
        truth: a diagnosis with its code in front.
        level: ``"category"`` compares the first three characters (four for the E codes of ICD-9), ``"code"`` all.

    Example:
        >>> same_diagnosis("I50.2 Systolic heart failure", "I50.9 Heart failure, unspecified")
        True
        >>> same_diagnosis("I50.2", "I50.9 Heart failure, unspecified", level="code")
        False
    """
    said, true = icd_code(answer), icd_code(truth)
    if said is None or true is None:
        return _words(answer) == _words(_LEADING.sub("", truth))
    return said == true or (level == "category" and _category(answer) == _category(truth))


def first_match(answers: Sequence[str], truths: Sequence[str], level: Level = "category") -> int | None:
    """Return the rank, from 0, of the first answer that is among the true diagnoses; ``None`` if none is.

    Acc@k is the share of steps whose rank is below k.

    Example:
        >>> first_match(["J18.9 Pneumonia", "I50.9"], ["I50.2 Systolic heart failure", "N17.9 Kidney failure"])
        1
    """
    for rank, answer in enumerate(answers):
        if any(same_diagnosis(answer, truth, level) for truth in truths):
            return rank
    return None


def icd_acc_at(k: int, field: str, level: Level = "category") -> Metric:
    """Share of steps where one of the first ``k`` answers is a true diagnosis by its code.

    Args:
        k: how many answers count, at least 1.
        field: the ranked output.
        level: as in :func:`same_diagnosis`.

    Raises:
        ConfigurationError: ``k`` is below 1.

    Example:
        >>> icd_acc_at(5, "diagnoses").name
        'icd_acc@5[diagnoses]'
    """
    if k < 1:
        raise ConfigurationError(f"icd_acc@{k}: the number of ranked answers must be at least 1")

    def step(case: Case) -> float:
        rank = first_match(_texts(case.answered(field)), _texts(case.known(field)), level)
        return float(rank is not None and rank < k)

    return Metric(
        name=f"icd_acc@{k}[{field}]" if level == "category" else f"icd_code_acc@{k}[{field}]",
        better="higher",
        unit="share",
        scorable=lambda case: case.known(field) is not None,
        step=step,
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _category(text: str) -> str:
    # What stands before the dot: three characters, four for the E codes of ICD-9. Without a dot, three are assumed.
    found = _LEADING.search(text) or _BRACKETED.search(text)
    head, dot, _ = found.group(1).upper().partition(".") if found else ("", "", "")
    return head if dot else head[:3]


def _words(text: str) -> str:
    return _NO_WORD.sub(" ", text).strip().lower()
