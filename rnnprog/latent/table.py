"""The table's runs: every method, capacity and seed is one cell, kept in a file of its own, so a run can be resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnprog.folder import tried_folder
from rnnprog.latent.demo import EDGES
from rnnprog.latent.errors import LatentError
from rnnprog.latent.evaluate import ExamOptions
from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.findings import findings
from rnnprog.latent.laboratory import Laboratory, Sizes
from rnnprog.latent.plot import forgetting, save
from rnnprog.latent.spec import METHODS, Form, MethodSpec, method
from rnnprog.latent.synthetic import World
from rnnprog.latent.table_text import fill, page
from rnnprog.latent.tiny import TinyRecipe, cached
from rnnprog.latent.train import TrainConfig

Progress = Callable[[str], None]
Results = list[tuple["Cell", Examination]]

TINY_ROWS = {1: {"rows": 8, "hebbian": 16}, 10: {"rows": 80, "hebbian": 51}}
"""The two capacities scaled to the tiny backbone: tenfold in rows, and in numbers of the Hebbian matrix."""

REPAIRED_ROWS = {
    "M.1": (42, 120),
    "M.2": (16, 160),
    "M.3": (42, 240),
    "M.4": (16, 51),
    "M.5": (42, 240),
    "M.6": (16, 160),
}
"""Small and large banks of the repaired variants; the larger rings hold about half of a 40-turn conversation."""

FORMS = ("measured", "paper", "proxy", "repaired")


@dataclass(frozen=True)
class TablePlan:
    """Which cells make the table: ``steps`` of training, seeds, capacities, methods and forms.

    The form ``measured`` is the mixture behind the published figures: M.2 and M.5 as extra positions, the others as
    defined. Forms may share cells; each is run once.

    >>> TablePlan(forms=("literal",))
    Traceback (most recent call last):
      ...
    rnnprog.latent.errors.LatentError: no form 'literal' of the table: choose among measured, paper, proxy, repaired
    """

    steps: int = 300
    seeds: tuple[int, ...] = (0, 1, 2)
    forms: tuple[str, ...] = ("measured", "repaired", "paper")
    capacities: tuple[int, ...] = (1, 10)
    methods: tuple[str, ...] = METHODS[1:]

    def __post_init__(self) -> None:
        if not (self.seeds and self.forms and self.capacities and self.methods):
            raise LatentError("the table has no cells: name at least one seed, form, capacity and method")
        for kind, chosen, known in (("form", self.forms, FORMS), ("method", self.methods, METHODS[1:])):
            wrong = [item for item in chosen if item not in known]
            if wrong:
                raise LatentError(f"no {kind} {wrong[0]!r} of the table: choose among {', '.join(known)}")


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    name: str
    form: Form
    capacity: int
    seed: int
    spec: MethodSpec

    def config(self, steps: int) -> TrainConfig:
        """Training settings: twice as many steps where the writes are trained too."""
        trained = self.spec.write is not None and self.spec.write.trained
        return TrainConfig(steps=2 * steps if trained else steps, seed=self.seed)


def tiny_spec(name: str, capacity: int, form: str) -> MethodSpec:
    """A method at a capacity of the tiny backbone.

    >>> tiny_spec("M.6", 10, "measured").write.rows
    80
    >>> tiny_spec("M.3", 10, "repaired").write.rule
    'ring'
    """
    if form == "repaired":
        return method(name, form="repaired", rows=REPAIRED_ROWS[name][capacity != 1])
    rows = TINY_ROWS[capacity]["hebbian" if name == "M.4" else "rows"]
    return method(name, form=true_form(name, form), rows=rows, top_k=2)


def true_form(name: str, form: str) -> Form:
    """The form of a method that a form of the table means.

    >>> true_form("M.2", "measured"), true_form("M.3", "measured")
    ('proxy', 'paper')
    """
    if form == "measured":
        return "proxy" if name in ("M.2", "M.5") else "paper"
    return form  # type: ignore[return-value]


def cells(plan: TablePlan) -> list[Cell]:
    """All cells in the order in which they are run: a form at a time, in it a seed at a time."""
    found: dict[Cell, None] = {}
    for form in plan.forms:
        for seed in plan.seeds:
            for capacity in plan.capacities:
                for name in plan.methods:
                    spec = tiny_spec(name, capacity, form)
                    found[Cell(name, true_form(name, form), capacity, seed, spec)] = None
    return list(found)


@dataclass(frozen=True)
class TableJob:
    """A plan and where it runs: ``bench`` gives the laboratory when a cell has to be run, ``facts`` is what all cells
    share (backbone, data, exam). A cell's file is named after everything that its result depends on.
    """

    plan: TablePlan
    folder: Path
    facts: Mapping[str, str]
    bench: Callable[[], Laboratory]

    def path(self, cell: Cell) -> Path:
        """The file of a cell."""
        parts = [asdict(cell.spec), asdict(cell.config(self.plan.steps)), dict(self.facts)]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
        return self.folder / "cells" / f"{cell.name}-{cell.form}-{cell.capacity}x-seed{cell.seed}-{key}.json"

    def finished(self) -> Results:
        """The cells that are done, in order."""
        return [(cell, Examination.load(self.path(cell))) for cell in cells(self.plan) if self.path(cell).exists()]


def tiny_job(out: Path, plan: TablePlan, progress: Progress = lambda line: None, *, device: str = "cpu") -> TableJob:
    """The table on the tiny backbone and the made-up world; trains the backbone at first use."""
    world, sizes, options = World(), Sizes(), ExamOptions(max_new_tokens=6)
    tried_folder(out)
    backbone = cached(world, TinyRecipe(), out, progress, device=device)
    facts = {
        "backbone": backbone.fingerprint,
        "world": json.dumps(asdict(world)),
        "sizes": json.dumps(asdict(sizes)),
        "exam": json.dumps(asdict(options)),
        "edges": json.dumps(EDGES),
    }
    return TableJob(plan, out / "table", facts, lambda: Laboratory.synthetic(backbone, world, sizes))


def run_table(job: TableJob, progress: Progress = lambda line: None, *, minutes: float = 0.0) -> Results:
    """Run the cells that are missing and return all that are done.

    A cell is stored when it ends and its training is stored at every check, so a kill loses less than one cell.
    ``minutes`` above 0 starts no further cell after that time, but always one.
    """
    todo = [cell for cell in cells(job.plan) if not job.path(cell).exists()]
    progress(f"{len(cells(job.plan)) - len(todo)} of {len(cells(job.plan))} cells are done, {len(todo)} to run")
    laboratory, started = job.bench() if todo else None, time.perf_counter()
    for done, cell in enumerate(todo):
        spent = time.perf_counter() - started
        if laboratory is None or (done and minutes and spent > 60 * minutes):
            progress(f"stopped after {spent / 60:.1f} minutes: run the same command again to go on")
            break
        left = f", about {spent / done * (len(todo) - done) / 60:.0f} min left" if done else ""
        progress(f"[{done + 1}/{len(todo)}] {cell.spec.name} {cell.capacity}x seed {cell.seed}{left}")
        exam = _run(job, cell, laboratory, progress)
        progress(f"    {time.perf_counter() - started - spent:.0f} s  {verdict(exam.answerable)}")
    return job.finished()


def _run(job: TableJob, cell: Cell, laboratory: Laboratory, progress: Progress) -> Examination:
    path = job.path(cell)
    training = path.with_suffix("")
    _, _, exam = laboratory.run(
        cell.spec, cell.config(job.plan.steps), lambda line: progress(f"    {line}"), folder=training
    )
    exam.save(path)
    shutil.rmtree(training, ignore_errors=True)
    return exam


def publish(job: TableJob, results: Results, docs: Path | None = None) -> str:
    """Write ``table.json``, ``table.md`` and ``forgetting.png``; with ``docs`` also that document's marked tables, the
    JSON and the picture beside it. What is not finished is named there. ``rnnprog report`` shows ``table.json`` as a
    page. Returns the Markdown.
    """
    edges = tuple(json.loads(job.facts["edges"]))
    facts = {**job.facts, "steps": str(job.plan.steps), "unfinished": _unfinished(job, results)}
    table = findings(results, edges, facts)
    table.save(job.folder / "table.json")
    text = page(table)
    (job.folder / "table.md").write_text(f"{text}\n")
    picture = save(_picture(results, edges), job.folder / "forgetting.png")
    if docs is not None:
        fill(docs, table)
        shutil.copyfile(picture, docs.with_name("latent-forgetting.png"))
    return text


def _unfinished(job: TableJob, results: Results) -> str:
    """The cells of the plan that have no result, in words."""
    done = {cell for cell, _ in results}
    missing: dict[str, list[str]] = {}
    for cell in cells(job.plan):
        if cell not in done and cell.spec.write is not None:
            missing.setdefault(f"{cell.spec.name} {cell.spec.write.rows} rows", []).append(str(cell.seed))
    return "; ".join(f"{name} seed {', '.join(seeds)}" for name, seeds in missing.items())


def _picture(results: Results, edges: tuple[int, ...]) -> Any:
    """Forgetting curves of the larger repaired banks and of the published key-value extension, seeds pooled."""
    groups: dict[Any, list[Examination]] = {}
    for cell, exam in results:
        groups.setdefault((cell.form != "repaired", cell.name, cell.capacity), []).append(exam.answerable)
    largest = max(capacity for _, _, capacity in groups)
    shown = [
        pooled(exams)[0] for (literal, name, capacity), exams in sorted(groups.items())
        if capacity == largest and (not literal or name == "M.3")
    ]  # fmt: skip
    return forgetting(shown or [pooled(exams)[0] for exams in groups.values()], edges)
