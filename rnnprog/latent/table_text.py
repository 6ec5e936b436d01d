"""The table as Markdown, and documents whose tables are written by the command that measured them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rnnprog.latent.errors import LatentError
from rnnprog.latent.figures import Figure
from rnnprog.latent.findings import Findings, Row

_BLOCK = re.compile(r"(<!-- latent table: (?P<what>\w+) ?(?P<form>[\w-]*) -->\n).*?(<!-- end -->)", re.DOTALL)


def rows_of(table: Findings, form: str) -> list[Row]:
    """The rows of one form of the table; ``measured`` is M.2 and M.5 as extra positions and the others as defined,
    ``layers`` only M.2 and M.5 as defined (a branch in every decoder layer).
    """
    if form == "measured":
        return [row for row in table.rows if row.form == ("proxy" if row.method in ("M.2", "M.5") else "paper")]
    if form == "layers":
        return [row for row in table.rows if row.form == "paper" and row.method in ("M.2", "M.5")]
    return [row for row in table.rows if form in ("", row.form)]


def means(rows: Sequence[Row]) -> str:
    """Percent F1 with controls; the gain with its 95 % interval and its value in every seed."""
    head = (
        "method", "rows", "trained", "own bank", "foreign bank", "zero bank", "gain over foreign [95 %]",
        "gain by seed", "published rate", "tax", "net", "verdict", "p (Holm)",
    )  # fmt: skip
    lines = []
    for row in rows:
        by_seed = ", ".join(f"{100 * gain:+.1f}" for gain in row.gain_by_seed)
        lines.append([
            row.label, str(row.rows), f"{row.trained:,}",
            *(f"{100 * part.mean:.1f}" for part in (row.own, row.foreign, row.zero)),
            _points(row.gain), by_seed, f"{100 * row.rate:.1f}", f"{100 * row.tax:+.1f}", f"{100 * row.net:+.1f}",
            row.verdict.split(" (")[0], _chance(row.p_holm),
        ])  # fmt: skip
    return _markdown(head, lines)


def curves(rows: Sequence[Row]) -> str:
    """Forgetting curves: F1 own / foreign (signed gain ± its standard error) by lag, and the published fit."""
    head = ["method", "rows", *(f"lag {part.lags} (n={part.n})" for part in rows[0].buckets), "rate raw", "rate fitted"]
    lines = []
    for row in rows:
        cells = [
            "-" if part.gain is None else f"{_percent(part.own)} / {_percent(part.foreign)} "
            f"({100 * part.gain.mean:+.1f} ± {100 * part.gain.error:.1f})"
            for part in row.buckets
        ]  # fmt: skip
        raw, fitted = ([part.rate for part in row.buckets], [part.rate_fitted for part in row.buckets])
        lines.append([row.label, str(row.rows), *cells, _series(raw), _series(fitted)])
    return _markdown(head, lines)


def knowledge(rows: Sequence[Row]) -> str:
    """F1 after every session over the questions whose evidence has been written, and its growth."""
    sessions = [f"K{number}" for number in range(1, 1 + max(len(row.knowledge) for row in rows))]
    lines = []
    for row in rows:
        first, last = row.knowledge[0], row.knowledge[-1]
        growth = "-" if first is None or last is None else f"{100 * (last - first):+.1f}"
        lines.append([row.label, str(row.rows), *(_percent(value) for value in row.knowledge), growth])
    return _markdown(["method", "rows", *sessions, "growth"], lines)


def checks(table: Findings, form: str) -> str:
    """Whether the gain falls with lag and grows with capacity, and how many times the foreign bank the own one is."""
    wanted = {(row.method, row.form) for row in rows_of(table, form)}
    head = (
        "method", "rows", "gain, shortest minus longest lag [95 %]", "gain, large minus small bank [95 %]",
        "own / foreign, large bank [95 %]", "all three hold",
    )  # fmt: skip
    lines = []
    for check in table.checks:
        if (check.method, check.form) in wanted:
            times = f"{check.times.mean:.1f} [{check.times.low:.1f}, {check.times.high:.1f}]" if check.times else "-"
            sizes = f"{check.rows[0]}, {check.rows[1]}"
            held = "yes" if check.holds else "no"
            lines.append([check.label, sizes, _points(check.falls), _points(check.grows), times, held])
    return _markdown(head, lines)


def setting(table: Findings, form: str = "") -> str:
    """What the frozen model scores without any adapter, which seeds were run, and how many verdicts survive Holm."""
    seeds, rows = sorted({seed for row in table.rows for seed in row.seeds}), table.rows
    scores = ", ".join(f"{name} {100 * at.mean:.1f} ± {100 * at.error:.1f}" for name, at in table.references.items())
    missing = table.facts.get("unfinished", "")
    recalls = [row for row in rows if row.recalls]
    return (
        f"The frozen model without any adapter scores (± standard error): {scores}. Seeds: "
        f"{', '.join(map(str, seeds))}{f' (not run: {missing})' if missing else ''}. Of {len(rows)} rows "
        f'{len(recalls)} have the verdict "recall"; {sum(row.p_holm < 0.05 for row in recalls)} of these stay below '
        f"0.05 after Holm's correction for {len(rows)} comparisons."
    )


def blocks() -> dict[str, Callable[[Findings, str], str]]:
    """What a document may ask for, by name."""
    return {
        "means": lambda table, form: means(_some(table, form)),
        "curves": lambda table, form: curves(_some(table, form)),
        "knowledge": lambda table, form: knowledge(_some(table, form)),
        "checks": checks,
        "setting": setting,
    }


def filled(text: str, table: Findings) -> str:
    """The document with every block ``<!-- latent table: WHAT FORM -->`` up to ``<!-- end -->`` written anew.

    Raises ``LatentError`` for an unknown block, for a form without rows and for a document without any block.
    """
    known = blocks()

    def block(found: re.Match[str]) -> str:
        if found["what"] not in known:
            raise LatentError(f"no block {found['what']!r}: choose among {', '.join(known)}")
        return f"{found[1]}\n{known[found['what']](table, found['form'])}\n\n{found[4]}"

    new, count = _BLOCK.subn(block, text)
    if not count:
        raise LatentError("the document has no block <!-- latent table: means measured --> ... <!-- end --> to fill")
    return new


def page(table: Findings) -> str:
    """All of it as one Markdown page."""
    return "\n\n".join(
        [setting(table), means(table.rows), curves(table.rows), knowledge(table.rows), checks(table, "")]
    )


def fill(document: Path, table: Findings) -> None:
    """Write the tables of a document, and the table itself beside it as ``latent-table.json``."""
    new = filled(document.read_text(), table)
    table.save(document.with_name("latent-table.json"))
    document.write_text(new)


def _some(table: Findings, form: str) -> list[Row]:
    rows = rows_of(table, form)
    if not rows:
        raise LatentError(f"no row of the form {form!r} in the table: run it with --forms")
    return rows


def _points(figure: Figure) -> str:
    return f"{100 * figure.mean:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _series(values: Sequence[float | None]) -> str:
    return ", ".join(_percent(value) for value in values)


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [" | ".join(cells) for cells in (head, ["---"] * len(head), *lines)]
    return "\n".join(f"| {row} |" for row in rows)
