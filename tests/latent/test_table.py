"""The table: its cells survive a kill, its figures are right, its documents are its output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnprog.latent import evaluate as real
from rnnprog.latent import table as runs
from rnnprog.latent.backbone import Backbone
from rnnprog.latent.cli import app
from rnnprog.latent.errors import LatentError
from rnnprog.latent.examination import Examination
from rnnprog.latent.figures import chance_of, fall_of, growth_of, mean_of, times_of
from rnnprog.latent.findings import Findings, findings
from rnnprog.latent.laboratory import Laboratory, Sizes
from rnnprog.latent.synthetic import World
from rnnprog.latent.table import Cell, Results, TableJob, TablePlan, cells, publish, run_table, tiny_spec
from rnnprog.latent.table_text import filled, rows_of

DOCS = Path(__file__).parents[2] / "docs"
EDGES = (0, 3, 6)
PLAN = TablePlan(steps=2, seeds=(0, 1), forms=("measured",), methods=("M.2", "M.4"))


@pytest.fixture(scope="module")
def laboratory(backbone: Backbone, world: World) -> Laboratory:
    return Laboratory.synthetic(backbone, world, Sizes(4, 2, 4))


def job(laboratory: Laboratory, folder: Path, plan: TablePlan = PLAN, **facts: str) -> TableJob:
    return TableJob(plan, folder, {"edges": json.dumps(EDGES), **facts}, lambda: laboratory)


def test_forms_share_their_cells() -> None:
    assert len(cells(PLAN)) == 8
    literal, both = (cells(TablePlan(forms=forms)) for forms in (("measured",), ("measured", "paper")))
    assert len(literal) == 2 * 6 * 3
    assert both[: len(literal)] == literal
    assert {cell.name for cell in both[len(literal) :]} == {"M.2", "M.5"}
    assert not any(cell.spec.read.as_positions for cell in both[len(literal) :])  # type: ignore[union-attr]


def test_the_measured_mixture() -> None:
    for name in ("M.1", "M.3", "M.4", "M.6"):
        assert not tiny_spec(name, 1, "measured").read.as_positions  # type: ignore[union-attr]
    for name in ("M.2", "M.5"):
        assert tiny_spec(name, 1, "measured").read.as_positions  # type: ignore[union-attr]
    assert tiny_spec("M.4", 10, "measured").write.rows == 51  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"seeds": ()}, "no cells"), ({"forms": ("own",)}, "no form 'own'"), ({"methods": ("M.0",)}, "no method 'M.0'")],
)
def test_impossible_plans_are_refused(fields: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(LatentError, match=words):
        TablePlan(**fields)  # type: ignore[arg-type]


def scores(results: Results) -> dict[Cell, dict[str, list[float]]]:
    return {cell: {name: values.tolist() for name, values in exam.f1.items()} for cell, exam in results}


class Killed(BaseException):
    """Stands for a signal: nothing may catch it."""


def test_a_kill_loses_less_than_one_cell(
    laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_table(job(laboratory, tmp_path / "whole"))
    killed = job(laboratory, tmp_path / "killed")

    def examine(*arguments: Any, **options: Any) -> Examination:
        if len(killed.finished()) == 4:
            raise Killed
        return real.examine(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("rnnprog.latent.laboratory.examine", examine)
        with pytest.raises(Killed):
            run_table(killed)
    assert len(killed.finished()) == 4
    lines: list[str] = []
    again = run_table(killed, lines.append)
    assert lines[0] == "4 of 8 cells are done, 4 to run"
    assert "    resumed at step 2" in lines
    assert scores(again) == scores(whole)
    assert all(path.suffix == ".json" for path in (tmp_path / "killed" / "cells").iterdir())
    idle = replace(killed, bench=lambda: pytest.fail("nothing is left to run"))
    assert scores(run_table(idle)) == scores(whole)


def test_time_is_a_limit_for_starting_cells(laboratory: Laboratory, tmp_path: Path) -> None:
    lines: list[str] = []
    one = job(laboratory, tmp_path)
    assert [len(run_table(one, lines.append, minutes=1e-9)) for _ in range(2)] == [1, 2]
    assert "run the same command again" in lines[-1]


def test_a_cell_of_another_setting_is_not_taken(laboratory: Laboratory, tmp_path: Path) -> None:
    first, cell = job(laboratory, tmp_path, backbone="a"), cells(PLAN)[0]
    others = [job(laboratory, tmp_path, backbone="b"), job(laboratory, tmp_path, replace(PLAN, steps=3), backbone="a")]
    assert len({one.path(cell) for one in [first, *others]}) == 3


def made_up(near: float, far: float, guess: float, *, seed: int = 0, rows: int = 8, name: str = "M.4") -> Examination:
    """Ten questions in each of forty conversations: half of them lately answered with ``near``, the others ``far``."""
    random = np.random.default_rng(seed + 17 * rows)
    count = 400
    lags = np.tile([0, 9], count // 2)
    own = (random.random(count) < np.where(lags == 0, near, far)).astype(float)
    f1 = {"memory": own, "shuffled": (random.random(count) < guess).astype(float), "zero": np.zeros(count)}
    owners = tuple(f"c{number // 10}" for number in range(count))
    f1["stateless"] = np.zeros(count)
    return Examination(name, rows, seed, 99, "abc", owners, lags, np.zeros(count, dtype=np.int64), f1, (0.1, 0.2))


def result(exam: Examination, capacity: int) -> tuple[Cell, Examination]:
    return Cell(exam.method, "paper", capacity, exam.seed, tiny_spec(exam.method, capacity, "paper")), exam


def found(*more: tuple[Cell, Examination]) -> Findings:
    real = [result(made_up(0.6, 0.2, 0.1, seed=seed, rows=8), 1) for seed in range(3)]
    real += [result(made_up(0.9, 0.5, 0.1, seed=seed, rows=80), 10) for seed in range(3)]
    return findings([*real, *more], EDGES, {"steps": "2"})


def test_a_memory_passes_the_checks_and_a_guesser_does_not() -> None:
    guesses = [
        result(made_up(0.1, 0.1, 0.1, seed=seed, rows=rows, name="M.3"), capacity)
        for rows, capacity in ((8, 1), (80, 10))
        for seed in range(3)
    ]
    table = found(*guesses)
    assert [(check.method, check.holds) for check in table.checks] == [("M.4", True), ("M.3", False)]
    good, bad = table.checks
    assert good.falls.mean == pytest.approx(0.4, abs=0.1)
    assert good.grows.mean == pytest.approx(0.3, abs=0.1)
    assert good.times is not None
    assert good.times.low < 7 < good.times.high
    assert bad.grows.low < 0 < bad.grows.high
    assert [row.recalls for row in table.rows] == [True, True, False, False]
    assert min(row.p_holm for row in table.rows[2:]) > 0.05
    assert table.rows[0].p_holm < 0.001


def test_chance_is_corrected_for_the_number_of_rows() -> None:
    """One row near its error among twenty: alone it would pass, in the table it does not."""
    lucky = [result(made_up(0.13, 0.13, 0.1, seed=3), 1)]
    alone = findings(lucky, EDGES, {}).rows[0]
    assert alone.p_holm == pytest.approx(chance_of([lucky[0][1]]))
    rest = [result(made_up(0.1, 0.1, 0.1, seed=seed, name=f"M.{seed % 6 + 1}"), 1) for seed in (2, 4, 5)]
    assert findings([*lucky, *rest], EDGES, {}).rows[0].p_holm > alone.p_holm


def test_row_figures_by_hand() -> None:
    exams = [made_up(0.6, 0.2, 0.1, seed=seed) for seed in range(3)]
    row = found().rows[0]
    gains = [float((exam.f1["memory"] - exam.f1["shuffled"]).mean()) for exam in exams]
    assert row.gain_by_seed == pytest.approx(gains)
    assert row.gain.mean == pytest.approx(np.mean(gains))
    assert row.gain.error >= np.std(gains, ddof=1) / np.sqrt(3)
    assert row.gain.low < row.gain.mean - 1.9 * row.gain.error
    near = exams[0].lags == 0
    assert row.buckets[0].own == pytest.approx(np.mean([exam.f1["memory"][near].mean() for exam in exams]))
    assert (row.buckets[1].n, row.buckets[1].own, row.buckets[1].gain, row.buckets[1].rate_fitted) == (0,) + (None,) * 3
    assert row.rate == pytest.approx(row.own.mean)
    assert row.zero.mean == row.tax == 0.0
    assert row.net == pytest.approx(row.own.mean)


def test_errors_of_contrasts_equal_a_plain_bootstrap() -> None:
    """The linearised errors against recomputing every statistic on redrawn conversations."""
    small, large = made_up(0.5, 0.3, 0.1), made_up(0.9, 0.5, 0.2, rows=80)
    owners = np.array(small.owners)
    members = [np.flatnonzero(owners == name) for name in dict.fromkeys(small.owners)]
    random, drawn = np.random.default_rng(0), []
    gains = [exam.f1["memory"] - exam.f1["shuffled"] for exam in (small, large)]
    for _ in range(800):
        keep = np.concatenate([members[place] for place in random.integers(0, len(members), len(members))])
        near = large.lags[keep] == 0
        own, other = (large.f1[name][keep].mean() for name in ("memory", "shuffled"))
        less, more = (gain[keep] for gain in gains)
        drawn.append([more[near].mean() - more[~near].mean(), more.mean() - less.mean(), np.log(own / other)])
    errors = np.std(drawn, axis=0)
    times = times_of([large])
    assert times is not None
    assert fall_of([large], EDGES).error == pytest.approx(errors[0], rel=0.12)
    assert growth_of([small], [large]).error == pytest.approx(errors[1], rel=0.12)
    assert times.error / times.mean == pytest.approx(errors[2], rel=0.12)


def test_few_seeds_that_disagree_make_a_wide_interval() -> None:
    alike = mean_of([made_up(0.5, 0.5, 0.1, seed=seed) for seed in range(3)], "memory")
    apart = mean_of([made_up(share, share, 0.1) for share in (0.2, 0.5, 0.8)], "memory")
    assert apart.mean == pytest.approx(alike.mean, abs=0.05)
    assert apart.freedom < 3 < alike.freedom
    assert apart.high - apart.low > 8 * (alike.high - alike.low)


def test_nothing_can_be_said_of_times_zero() -> None:
    silent = made_up(0.0, 0.0, 0.0)
    assert times_of([silent]) is None
    assert not findings([result(silent, 1), result(silent, 10)], EDGES, {}).checks[0].holds


def test_the_json_round_trip_is_exact_and_other_files_are_refused(tmp_path: Path) -> None:
    table = found()
    table.save(tmp_path / "table.json")
    assert Findings.load(tmp_path / "table.json") == table
    plain = json.loads((tmp_path / "table.json").read_text())
    assert plain["kind"] == "rnnprog-latent-table/1"
    assert plain["rows"][0]["gain"]["mean"] == table.rows[0].gain.mean
    (tmp_path / "table.json").write_text('{"kind": "other"}')
    for name in ("table.json", "nowhere.json"):
        with pytest.raises(LatentError, match="no table of the latent wing"):
            Findings.load(tmp_path / name)
    with pytest.raises(LatentError, match="no finished cell"):
        findings([], EDGES, {})


DOCUMENT = """# Title
<!-- latent table: means measured -->
old
<!-- end -->
between
<!-- latent table: setting -->
<!-- end -->
"""


def test_documents_are_filled_and_filling_again_changes_nothing() -> None:
    table = found()
    text = filled(DOCUMENT, table)
    assert "old" not in text
    assert "between" in text
    rows = [line for line in text.splitlines() if line.startswith("| M.")]
    assert len(rows) == len(rows_of(table, "measured")) == 2
    assert all(line.count("|") == 14 for line in rows)
    assert "2 of these stay below 0.05" in text
    assert filled(text, table) == text


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("nothing to fill", "no block <!--"),
        (DOCUMENT.replace("means", "modes"), "no block 'modes'"),
        (DOCUMENT.replace("measured", "repaired"), "no row of the form 'repaired'"),
    ],
)
def test_documents_that_cannot_be_filled_are_refused(document: str, words: str) -> None:
    with pytest.raises(LatentError, match=words):
        filled(document, found())


def test_publishing_writes_every_view(laboratory: Laboratory, tmp_path: Path) -> None:
    one = job(laboratory, tmp_path / "table")
    results = run_table(one)
    document = tmp_path / "results.md"
    document.write_text(DOCUMENT)
    text = publish(one, results, document)
    assert (tmp_path / "table" / "table.md").read_text().strip() == text
    table = Findings.load(tmp_path / "latent-table.json")
    assert table == Findings.load(tmp_path / "table" / "table.json")
    assert document.read_text() == filled(DOCUMENT, table)
    assert [row.seeds for row in table.rows] == [(0, 1)] * 4
    assert (tmp_path / "latent-forgetting.png").stat().st_size > 5000


def test_the_command_goes_on_and_names_what_is_unfinished(
    laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "tiny_job", lambda out, plan, say, device: job(laboratory, out / "table", plan))
    document = tmp_path / "results.md"
    document.write_text(DOCUMENT)
    command = ["table", "--out", str(tmp_path), "--seeds", "1", "--steps", "1", "--methods", "M.3", "--forms"]
    got = CliRunner().invoke(app, [*command, "measured", "--docs", str(document), "--minutes", "1e-9"])
    assert got.exit_code == 0, got.output
    assert "(not run: M.3 80 rows seed 0)" in document.read_text()
    assert "| M.3 | 80 |" not in document.read_text()
    got = CliRunner().invoke(app, [*command, "measured", "--docs", str(document)])
    assert got.exit_code == 0, got.output
    assert "not run" not in document.read_text()
    assert "| M.3 | 80 |" in document.read_text()
    got = CliRunner().invoke(app, [*command, "literal"])
    assert got.exit_code == 2
    assert "no form 'literal'" in got.output


def test_the_docs_are_the_output_of_the_command() -> None:
    text = (DOCS / "latent-results.md").read_text()
    assert filled(text, Findings.load(DOCS / "latent-table.json")) == text
