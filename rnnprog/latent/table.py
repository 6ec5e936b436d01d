"""The literal table: six methods as published, two capacities, own bank against foreign and zeroed banks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnprog.latent.examination import Examination, pooled, verdict
from rnnprog.latent.laboratory import Laboratory
from rnnprog.latent.plot import forgetting, save
from rnnprog.latent.report_section import report_section
from rnnprog.latent.scores import recall_rate
from rnnprog.latent.spec import Form, MethodSpec, method
from rnnprog.latent.train import TrainConfig

Progress = Callable[[str], None]

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


@dataclass(frozen=True)
class TablePlan:
    """Which runs make the table: ``steps`` of training, seeds, capacities, and the form of the equations.

    ``form="measured"`` is the mixture that was measured before: M.2 and M.5 as extra positions, the others as defined;
    ``"repaired"`` runs the repaired variants instead.
    """

    steps: int = 300
    seeds: tuple[int, ...] = (0,)
    form: Form | str = "measured"
    capacities: tuple[int, ...] = (1, 10)
    methods: tuple[str, ...] = ("M.1", "M.2", "M.3", "M.4", "M.5", "M.6")


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
    published: Form = "proxy" if form == "proxy" or (form == "measured" and name in ("M.2", "M.5")) else "paper"
    return method(name, form=published, rows=rows, top_k=2)


def steps_for(spec: MethodSpec, steps: int) -> int:
    """Training steps of a method: twice as many where the writes are trained too."""
    return 2 * steps if spec.write is not None and spec.write.trained else steps


def literal_table(
    laboratory: Laboratory, plan: TablePlan, *, folder: Path | None = None, progress: Progress = lambda line: None
) -> list[list[Examination]]:
    """Run the table: one list of seeds for each method and capacity, stored in ``folder`` as they finish."""
    table = []
    for capacity in plan.capacities:
        for name in plan.methods:
            exams = []
            for seed in plan.seeds:
                spec = tiny_spec(name, capacity, plan.form)
                _, report, exam = laboratory.run(spec, TrainConfig(steps=steps_for(spec, plan.steps), seed=seed))
                exams.append(exam)
                if folder is not None:
                    exam.save(folder / f"{plan.form}-{name}-{capacity}x-{seed}.json")
                spent = 0.0 if report is None else report.seconds
                progress(f"{name} {capacity}x seed {seed}  {spent:.0f} s  {verdict(exam.answerable)}")
            table.append(exams)
    return table


def markdown(table: Sequence[Sequence[Examination]]) -> str:
    """The table as Markdown, percent of token F1, standard errors over conversations in parentheses."""
    lines = [
        "| method | rows | trained | own bank | foreign bank | zero bank | gain over foreign | published rate | tax |"
        " net | seeds | verdict |",
        "| --- " * 12 + "|",
    ]
    for exams in table:
        whole, between = pooled(list(exams))
        part = whole.answerable
        gain = part.gain("shuffled")
        error = (gain.error**2 + between**2) ** 0.5
        rate = 100 * float(_rate(part))
        cells = [
            whole.method,
            str(whole.capacity),
            f"{whole.parameters:,}",
            *(f"{100 * part.mean(name).mean:.1f}" for name in ("memory", "shuffled", "zero")),
            f"{100 * gain.mean:+.1f} ({100 * error:.1f})",
            f"{rate:.1f}",
            f"{100 * part.tax.mean:+.1f}",
            f"{100 * part.net_benefit.mean:+.1f}",
            str(len(exams)),
            verdict(part, between).split(" (")[0],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_table(table: Sequence[Sequence[Examination]], edges: tuple[int, ...], folder: Path) -> None:
    """Write ``table.md``, ``forgetting.png`` and ``section.html`` (seeds pooled)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(f"{markdown(table)}\n\n{curves(table, edges)}\n")
    whole = [pooled(list(exams))[0].answerable for exams in table]
    save(forgetting(whole, edges), folder / "forgetting.png")
    (folder / "section.html").write_text(report_section([exam for exams in table for exam in exams], edges))


def curves(table: Sequence[Sequence[Examination]], edges: tuple[int, ...]) -> str:
    """Forgetting curves as Markdown: F1 own / foreign (signed gain ± its standard error) by lag, seeds pooled."""
    whole = [pooled(list(exams))[0].answerable for exams in table]
    first = whole[0].curve(edges)
    names = [f"lag {name} (n={count})" for name, count in zip(first.names, first.counts, strict=True)]
    lines = [f"| method | rows | {' | '.join(names)} | rate fitted |", "| --- " * (len(names) + 3) + "|"]
    for exam in whole:
        curve = exam.curve(edges)
        cells = [
            f"{100 * own:.1f} / {100 * other:.1f} ({100 * gain:+.1f} ± {100 * error:.1f})"
            for own, other, gain, error in zip(
                curve.memory, curve.shuffled, curve.gain_shuffled, curve.gain_error, strict=True
            )
        ]
        fitted = ", ".join(f"{100 * value:.1f}" for value in curve.rate_fitted)
        lines.append(f"| {exam.method} | {exam.capacity} | {' | '.join(cells)} | {fitted} |")
    return "\n".join(lines)


def _rate(exam: Examination) -> float:
    """Published rate averaged over all questions (no buckets)."""
    return float(recall_rate(exam.f1["memory"], exam.f1["zero"]).mean())
