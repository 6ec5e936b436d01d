"""A search warns at the line that began it, and Optuna says nothing that nobody asked for."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Budget, Schedule
from rnnprog.optimizers.speaking import ungreeted
from tests.optimizers.harness import TRAIN, VAL, tuner

ONE = Schedule(trials=1, rounds=0)
HANDLER = optuna.logging._default_handler


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """Stand where Optuna writes, at the verbosity that it has by itself."""
    assert isinstance(HANDLER, logging.StreamHandler)
    before, verbosity, written = HANDLER.stream, optuna.logging.get_verbosity(), io.StringIO()
    HANDLER.setStream(written)
    optuna.logging.set_verbosity(optuna.logging.INFO)
    yield written
    HANDLER.setStream(before)
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.parametrize("storage", ["memory", None, "sqlite:///{}/study.db"])
def test_a_search_does_not_let_optunas_greetings_through(
    student: RecurrentModule, stderr: io.StringIO, tmp_path: Path, storage: str | None
) -> None:
    for _ in range(2):  # begun, then found
        where = storage and storage.format(tmp_path)
        tuner(storage=where, folder=tmp_path, schedule=ONE).compile(student, trainset=TRAIN, valset=VAL)
    assert "study" not in stderr.getvalue()
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    optuna.create_study(study_name="own")
    assert "with name: own" in stderr.getvalue()


def test_only_the_thread_that_opens_a_study_is_silenced_and_only_on_stderr(stderr: io.StringIO) -> None:
    heard: list[str] = []
    own = logging.Handler()
    own.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("optuna")
    logger.addHandler(own)
    try:
        with ungreeted():
            optuna.create_study(study_name="mine")
            other = threading.Thread(target=optuna.create_study, kwargs={"study_name": "theirs"})
            other.start()
            other.join()
    finally:
        logger.removeHandler(own)
    assert "mine" not in stderr.getvalue()
    assert "theirs" in stderr.getvalue()
    assert [name for said in heard for name in ("mine", "theirs") if name in said] == ["mine", "theirs"]


def test_warnings_of_a_search_point_at_the_line_that_began_it(student: RecurrentModule, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        searching = tuner(folder=tmp_path, schedule=ONE)
        searching.compile(student, trainset=TRAIN)
        searching.estimate(student, trainset=TRAIN)
        searching.compile(student, trainset=VAL, valset=VAL, budget=Budget(calls=9))
    said = [str(warning.message).split()[0] for warning in caught]
    assert {"no", "a"} <= set(said), said
    assert {warning.filename for warning in caught} == {__file__}
