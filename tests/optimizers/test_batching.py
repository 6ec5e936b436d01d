from __future__ import annotations

import collections
import math
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from rnnprog.module import RecurrentModule
from rnnprog.optimizers import Instructions, OptunaTuner, Schedule, Space, open_storage
from rnnprog.optimizers.batching import together
from rnnprog.optimizers.data import items_of
from rnnprog.optimizers.evaluation import Evaluator, Job
from rnnprog.optimizers.ledger import StudyLedger
from rnnprog.optimizers.objective import Objective
from rnnprog.optimizers.planted import planted_sequences
from rnnprog.optimizers.spending import Budget, Purse

KINDS = ["journal", "sqlite"]
VALUES = st.one_of(st.floats(allow_nan=False), st.text(max_size=5), st.lists(st.integers(), max_size=3), st.none())
WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("user"), st.sampled_from("abc"), VALUES),
        st.tuples(st.just("system"), st.sampled_from("abc"), VALUES),
        st.tuples(st.just("value"), st.integers(0, 3), st.sampled_from([0.5, -1.0, math.inf, math.nan])),
        st.tuples(st.just("param"), st.sampled_from("xy"), st.sampled_from([0.0, 1.0])),
        st.tuples(st.just("apart"), st.none(), st.none()),
    ),
    max_size=12,
)


def where(kind: str, folder: Path) -> str:
    return str(folder / "journal") if kind == "journal" else f"sqlite:///{folder}/study.db"


def begun(storage: BaseStorage) -> tuple[int, int]:
    study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE])
    return study_id, storage.create_new_trial(study_id)


def write(storage: BaseStorage, trial: int, kind: str, key: Any, value: Any) -> None:
    if kind == "user":
        storage.set_trial_user_attr(trial, key, value)
    elif kind == "system":
        storage.set_trial_system_attr(trial, key, value)
    elif kind == "value":
        storage.set_trial_intermediate_value(trial, key, value)
    else:
        storage.set_trial_param(trial, key, value, optuna.distributions.CategoricalDistribution(("a", "b")))


def told(trial: FrozenTrial) -> tuple[Any, ...]:
    values = {step: repr(value) for step, value in trial.intermediate_values.items()}
    return trial.user_attrs, trial.system_attrs, trial.params, values, trial.state, trial.values


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[BaseStorage, BaseStorage]:
    """A storage, and the same as another process opens it."""
    place = where(request.param, tmp_path_factory.mktemp("pair"))
    return open_storage(place), open_storage(place)


@settings(max_examples=40, deadline=None)
@given(writes=WRITES)
def test_what_is_written_together_is_what_would_be_written_apart(
    pair: tuple[BaseStorage, BaseStorage], writes: list[tuple[str, Any, Any]]
) -> None:
    """Whatever is written, in whatever groups; a parameter only once, as trials do. Its writer sees it as others do."""
    batched, other = pair
    plain = optuna.storages.InMemoryStorage()
    (study, mine), (_, theirs) = begun(batched), begun(plain)
    groups: list[list[tuple[str, Any, Any]]] = [[]]
    drawn = set()
    for name, key, value in writes:
        if name == "apart":
            groups.append([])
        elif name != "param" or key not in drawn:
            groups[-1].append((name, key, value))
            drawn |= {key} if name == "param" else set()
    for group in groups:
        with together(batched):
            for item in group:
                write(batched, mine, *item)
        for item in group:
            write(plain, theirs, *item)
        assert told(batched.get_trial(mine)) == told(other.get_trial(mine)) == told(batched.get_all_trials(study)[0])
    for storage, trial in ((batched, mine), (plain, theirs)):
        assert storage.set_trial_state_values(trial, TrialState.COMPLETE, [0.25])
    found = batched.get_all_trials(study)[0]
    assert told(found) == told(other.get_trial(mine)) == told(plain.get_trial(theirs))
    assert found.datetime_complete is not None


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_on_the_way_keeps_what_was_written_before(kind: str, tmp_path: Path) -> None:
    storage = open_storage(where(kind, tmp_path))
    _, trial = begun(storage)
    with suppress(KeyboardInterrupt), together(storage):
        storage.set_trial_user_attr(trial, "a", 1)
        raise KeyboardInterrupt
    assert open_storage(where(kind, tmp_path)).get_trial(trial).user_attrs == {"a": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reported_value_goes_with_the_next_write(kind: str, tmp_path: Path) -> None:
    storage, other = open_storage(where(kind, tmp_path)), open_storage(where(kind, tmp_path))
    _, trial = begun(storage)
    storage.set_trial_intermediate_value(trial, 0, 0.5)
    assert other.get_trial(trial).intermediate_values == {}
    storage.set_trial_system_attr(trial, "evaluation", {})
    assert other.get_trial(trial).intermediate_values == {0: 0.5}


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_that_another_worker_ended_takes_no_more(kind: str, tmp_path: Path) -> None:
    storage, other = open_storage(where(kind, tmp_path)), open_storage(where(kind, tmp_path))
    _, trial = begun(storage)
    other.set_trial_state_values(trial, TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError), together(storage):
        storage.set_trial_user_attr(trial, "a", 1)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert other.get_trial(trial).state == TrialState.FAIL
    assert other.get_trial(trial).user_attrs == {}


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_workers_do_is_seen_at_once(kind: str, tmp_path: Path) -> None:
    """Though this one has a trial of its own under way, which it need not read again."""
    storage, other = open_storage(where(kind, tmp_path)), open_storage(where(kind, tmp_path))
    study, mine = begun(storage)

    def seen() -> list[tuple[Any, ...]]:
        return [(t.user_attrs, t.state, t.values) for t in storage.get_all_trials(study, deepcopy=False)]

    assert seen() == [({}, TrialState.RUNNING, None)]
    theirs = other.create_new_trial(study)
    assert len(seen()) == 2
    other.set_trial_user_attr(theirs, "candidate", "x")
    assert seen()[1] == ({"candidate": "x"}, TrialState.RUNNING, None)
    storage.set_trial_user_attr(mine, "candidate", "y")
    other.set_trial_state_values(theirs, TrialState.COMPLETE, [0.5])
    assert seen() == [
        ({"candidate": "y"}, TrialState.RUNNING, None),
        ({"candidate": "x"}, TrialState.COMPLETE, [0.5]),
    ]
    other.set_trial_state_values(mine, TrialState.FAIL)  # taken for dead
    assert seen()[0] == ({"candidate": "y"}, TrialState.FAIL, None)


def test_what_is_handed_out_is_not_what_is_remembered(tmp_path: Path) -> None:
    storage = open_storage(where("sqlite", tmp_path))
    _, trial = begun(storage)
    storage.get_trial(trial).user_attrs["a"] = 1
    assert storage.get_trial(trial).user_attrs == {}


def test_a_journal_can_be_sent_to_another_process(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    _, trial = begun(storage)
    copy = pickle.loads(pickle.dumps(storage))
    copy.set_trial_user_attr(trial, "a", 1)
    assert storage.get_trial(trial).user_attrs == {"a": 1}


@pytest.mark.parametrize("sure", [True, False])
def test_what_is_yielded_is_in_the_storage(student: RecurrentModule, tmp_path: Path, sure: bool) -> None:
    """Also where the next walk is under way; and where nobody waits for a walk any more, it is written down."""
    study = optuna.create_study(storage=open_storage(tmp_path), study_name="s")
    jobs = [Job(item) for item in items_of(planted_sequences(6, steps=2))]
    evaluator = Evaluator(Objective("accuracy"), StudyLedger(study), Purse(Budget()), concurrency=2)
    trial = study.ask()
    evaluations = evaluator.run(student, "c", jobs, trial, sure)
    for seen, (job, entry) in enumerate(evaluations, start=1):
        found = optuna.load_study(storage=open_storage(tmp_path), study_name="s")
        entries = StudyLedger(found).refresh().entries
        assert [e.score for e in entries if e.sequence == job.item.id] == [entry.score]
        if seen == 3:
            break
    evaluations.close()  # type: ignore[attr-defined]
    done = StudyLedger(study).refresh().entries
    assert 3 <= len(done) <= (5 if sure else 4), "three seen, and what was in flight"
    assert sum(entry.calls for entry in done) == evaluator.purse.spent.calls, "what was walked is written down"


def test_a_sequence_costs_one_commit_and_a_trial_few_reads(student: RecurrentModule, tmp_path: Path) -> None:
    """Counted, not timed: statements and transactions that one more trial, and one more sequence, bring."""

    def counted(trials: int, sequences: int) -> collections.Counter[str]:
        storage: Any = open_storage(f"sqlite:///{tmp_path}/{trials}-{sequences}.db")
        counts: collections.Counter[str] = collections.Counter()
        engine = storage._backend.engine
        sqlalchemy.event.listen(engine, "commit", lambda *_: counts.update(["commits"]))
        sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *_: counts.update(["statements"]))
        texts = tuple(f"Answer from the notes, variant {n}." for n in range(9))
        tuner = OptunaTuner(
            "accuracy",
            space=Space(parts=(Instructions(phase="predictor", texts=texts, proposals=0),)),
            schedule=Schedule(trials=trials, rounds=0, concurrency=1),
            storage=storage,
            folder=None,
            pruner="none",
        )
        made = planted_sequences(sequences + 1, steps=1)
        tuner.compile(student, trainset=made[:1], valset=made[1:])
        return counts

    few, more_trials, more_sequences = counted(2, 2), counted(6, 2), counted(2, 6)
    by_sequence = {name: (more_sequences[name] - few[name]) / 8 for name in few}
    by_trial = {name: (more_trials[name] - few[name]) / 4 - 2 * by_sequence[name] for name in few}
    assert by_sequence == {"commits": 1, "statements": pytest.approx(3, abs=0.5)}
    assert by_trial["commits"] <= 17
    assert by_trial["statements"] <= 42
