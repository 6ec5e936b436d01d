from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from rnnprog.optimizers.climbing import ClimbingSampler, Effects

CHOICES = CategoricalDistribution(("a", "b", "c", "d", "e"))
PARTS = ("p", "q", "r", "s")


def add(study: optuna.Study, params: dict[str, Any], scores: Any, distribution: Any = CHOICES) -> None:
    by_sequence = scores if isinstance(scores, dict) else dict(enumerate(scores))
    study.add_trial(
        create_trial(
            params=params,
            distributions=dict.fromkeys(params, distribution),
            values=[float(np.mean(list(by_sequence.values())))],
            intermediate_values={i: float(score) for i, score in by_sequence.items()},
        )
    )


def drawn(study: optuna.Study, sampler: ClimbingSampler) -> dict[str, Any]:
    pending = create_trial(state=optuna.trial.TrialState.RUNNING)
    pending.number = 10_000
    return sampler.sample_relative(study, pending, sampler.infer_relative_search_space(study, pending))


def history() -> list[tuple[dict[str, str], np.ndarray]]:
    random = np.random.default_rng(0)
    difficulty = random.uniform(size=8)
    rows = [({"p": "a", "q": "a"}, difficulty)]
    for params, gain in (({"p": "b", "q": "a"}, -0.1), ({"p": "a", "q": "b"}, -0.2), ({"p": "b", "q": "c"}, -0.15)):
        rows.append((params, difficulty + gain + random.normal(0.0, 0.02, size=8)))
    return rows


def test_effects_are_told_apart_whatever_the_sequences_and_the_company() -> None:
    study = optuna.create_study(direction="maximize")
    for params, scores in history():
        add(study, params, scores)
    effects = Effects(study)
    base = {part: effects.worth(part, "a") for part in "pq"}
    assert effects.worth("p", "b") - base["p"] == pytest.approx(-0.1, abs=0.03)
    assert effects.worth("q", "b") - base["q"] == pytest.approx(-0.2, abs=0.03)
    assert effects.worth("q", "c") - base["q"] == pytest.approx(-0.05, abs=0.04)  # seen only with the change of p


def test_effects_agree_with_least_squares_where_data_are_plenty() -> None:
    random = np.random.default_rng(2)
    study = optuna.create_study(direction="minimize")
    worth = {(part, choice): random.normal() for part in PARTS for choice in CHOICES.choices}
    difficulty = random.normal(0.0, 5.0, size=6)
    for _ in range(80):
        params = {part: CHOICES.choices[int(random.integers(5))] for part in PARTS}
        seen = random.permutation(6)[: random.integers(3, 7)]  # ended early or not
        scores = difficulty - sum(worth[item] for item in params.items()) + random.normal(0.0, 0.1, size=6)
        add(study, params, {int(at): scores[at] for at in seen})
    effects = Effects(study)
    for part in PARTS:
        for choice in CHOICES.choices:
            found = effects.worth(part, choice) - effects.worth(part, "a")
            assert found == pytest.approx(worth[part, choice] - worth[part, "a"], abs=0.1)


def test_a_text_takes_after_the_one_it_was_written_from() -> None:
    study = optuna.create_study(direction="maximize")
    noise = np.random.default_rng(4).normal(0.0, 0.02, size=(3, 8))
    for choice, score, n in (("a", 0.5, 0), ("b", 0.7, 1), ("c", 0.3, 2)):
        add(study, {"p": choice}, score + noise[n])
    family = {("p", "b"): "a", ("p", "c"): "a", ("p", "d"): "b", ("p", "e"): "c"}
    effects = Effects(study, family)
    assert effects.worth("p", "d") == effects.worth("p", "b") > effects.worth("p", "c") == effects.worth("p", "e")
    new = [drawn(study, ClimbingSampler(seed, parents=family))["p"] for seed in range(40)]
    assert new.count("d") > 30
    assert Effects(study, {("p", "a"): "b", ("p", "b"): "a"}).worth("p", "a") > 0  # a loop ends


def test_a_gain_found_elsewhere_is_made_along_with_what_is_tried() -> None:
    study = optuna.create_study(direction="maximize")
    noise = np.random.default_rng(1).normal(0.0, 0.01, size=(3, 8))
    add(study, {"p": "a", "q": "a"}, 0.5 + noise[0])
    add(study, {"p": "b", "q": "a"}, 0.7 + noise[1])
    add(study, {"p": "a", "q": "b"}, 0.6 + noise[2])  # better than what it was laid over; not the best by now
    empty = dict.fromkeys("pq", ("c", "d", "e"))
    assert drawn(study, ClimbingSampler(0, empty)) == {"p": "b", "q": "b"}


def test_the_order_in_which_trials_ended_does_not_matter() -> None:
    found = []
    for order in ((0, 1, 2, 3), (0, 3, 1, 2)):
        study = optuna.create_study(direction="maximize")
        for n in order:
            add(study, *history()[n])
        found.append([drawn(study, ClimbingSampler(seed=seed)) for seed in range(8)])
    assert found[0] == found[1]
    assert len({tuple(row.items()) for row in found[0]}) > 1, "other seeds draw something else"


def search(sampler: optuna.samplers.BaseSampler, seed: int, trials: int) -> optuna.Study:
    """A search among five choices for each of four parts: additive effects, easy and hard sequences, noise."""
    random = np.random.default_rng(seed)
    worth = {(part, choice): random.normal(0.0, 0.05) for part in PARTS for choice in CHOICES.choices}
    difficulty = random.uniform(size=12)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for _ in range(trials):
        trial = study.ask()
        gain = sum(worth[part, trial.suggest_categorical(part, CHOICES.choices)] for part in PARTS)
        scores = difficulty + gain + random.normal(0.0, 0.05, size=12)
        for step, score in enumerate(scores):
            trial.report(float(score), step)
        study.tell(trial, float(np.mean(scores)))
    top = sum(max(worth[part, choice] for choice in CHOICES.choices) for part in PARTS)
    found = sum(worth[part, study.best_params[part]] for part in PARTS)
    study.set_user_attr("short_of_the_best", top - found)
    return study


def test_it_finds_more_than_tpe_and_chance_in_few_trials() -> None:
    def short(make: Any) -> float:
        return float(np.mean([search(make(s), s, 22).user_attrs["short_of_the_best"] for s in range(12)]))

    climbing = short(lambda s: ClimbingSampler(seed=s))
    assert climbing < 0.6 * short(lambda s: optuna.samplers.RandomSampler(seed=s))
    assert climbing < 0.8 * short(lambda s: optuna.samplers.TPESampler(seed=s))


def test_nothing_is_tried_twice_until_all_was_tried() -> None:
    study = optuna.create_study(direction="maximize", sampler=ClimbingSampler(seed=0))
    for _ in range(12):
        trial = study.ask()
        value = len(trial.suggest_categorical("p", ("aaa", "b", "cc"))) + trial.suggest_int("n", 0, 3)
        trial.report(float(value), 0)
        study.tell(trial, float(value))
    params = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(params)) >= 9  # a number near the best may come twice once its neighbours are used up
    assert study.best_params == {"p": "aaa", "n": 3}

    study = optuna.create_study(direction="maximize", sampler=ClimbingSampler(seed=0))
    for _ in range(25):
        trial = study.ask(dict.fromkeys("pq", CHOICES))
        trial.report(float(trial.params["p"] == "c") + float(trial.params["q"] == "e"), 0)
        study.tell(trial, float(trial.params["p"] == "c") + float(trial.params["q"] == "e"))
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) >= 24


def test_what_another_worker_is_trying_is_not_drawn_again() -> None:
    study = optuna.create_study(direction="maximize")
    choices = ("a", "b", "c")
    add(study, {"p": "a"}, [1.0, 1.0], CategoricalDistribution(choices))
    study.sampler = ClimbingSampler(seed=3)
    assert {study.ask().suggest_categorical("p", choices) for _ in range(2)} == {"b", "c"}


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_draws_stay_in_range_on_the_grid_and_among_filled_choices(seed: int) -> None:
    study = optuna.create_study(direction="maximize", sampler=ClimbingSampler(seed, {"p": ("b", "c")}))
    spaces = {
        "p": CHOICES,
        "n": IntDistribution(16, 64, step=16),
        "log": IntDistribution(1, 1000, log=True),
        "x": FloatDistribution(0.1, 0.7, step=0.2),
        "y": FloatDistribution(1e-3, 1.0, log=True),
    }
    for _ in range(4):
        trial = study.ask(spaces)
        assert trial.params["p"] in ("a", "d", "e")
        for name, distribution in spaces.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name])), trial.params
        study.tell(trial, float(trial.params["x"]))
