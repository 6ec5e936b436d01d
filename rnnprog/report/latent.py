"""The section on latent memory, drawn from the JSON that ``rnnprog latent table`` writes; needs no torch."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnprog.errors import TraceError
from rnnprog.report import numbers
from rnnprog.report.dress import to_html
from rnnprog.report.plots import bars_of_error
from rnnprog.report.tables import Table

__all__ = ["KIND", "PLACES", "find_latent", "latent_section", "read_latent"]

KIND = "rnnprog-latent-table/1"
"""What such a file says of itself under ``kind``."""

PLACES = ("latent.json", "table.json", "table/table.json", "latent/table.json", "latent/table/table.json")
"""Where a table of the latent wing is looked for, in the folder of a result."""


_ALPHA = 0.05


def find_latent(folder: str | Path) -> Path | None:
    """Return the path of a table of the latent wing in or below a folder; ``None`` if there is none."""
    found = (Path(folder) / place for place in PLACES)
    return next((path for path in found if path.is_file() and KIND.encode() in path.read_bytes()[:200]), None)


def read_latent(path: str | Path) -> dict[str, Any]:
    """Read a table of the latent wing.

    Raises:
        TraceError: not such a table, or of another version.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["kind"] != KIND:
            raise ValueError(f"its kind is {found['kind']!r}, not {KIND!r}")
        latent_section(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(
            f"{path} is no table of the latent wing ({error!r}); rnnprog latent table writes one"
        ) from error
    return dict(found)


def latent_section(table: Mapping[str, Any]) -> str:
    """Return the section as HTML: the verdict in words, the rows with their controls, gains by lag, and the checks.

    Args:
        table: what :func:`read_latent` gave.
    """
    rows, checks = table["rows"], table["checks"]
    facts = "".join(
        f"<dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd>" for name, value in table["facts"].items()
    )
    parts = [
        '<section aria-labelledby="latent-title" id="latent"><h2 id="latent-title">Latent memory</h2>',
        f"<p>{html.escape(_verdict(rows))}</p>",
        to_html(_rows(rows, table["references"])),
        _by_lag(rows),
        f"<h3>What a true memory shows</h3>{to_html(_checks(checks))}" if checks else "",
        f'<details><summary>Settings of this table</summary><dl class="settings">{facts}</dl></details></section>',
    ]
    return "".join(parts)


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [row for row in rows if _word(row) == "recall"]
    told = "Recall means: answers from the own bank beat the same weights with another conversation's bank."
    if not shown:
        return f"No method shows recall after correction for {len(rows)} rows. {told}"
    best = max(shown, key=lambda row: row["gain"]["mean"])
    gain = _figure(best["gain"], signed=True)
    return f"{len(shown)} of {len(rows)} rows show recall, {_name(best)} the most: {gain} points of F1. {told}"


def _rows(rows: Sequence[Mapping[str, Any]], references: Mapping[str, Any]) -> Table:
    cells = tuple(
        (
            _name(row),
            _figure(row["own"]),
            _figure(row["foreign"]),
            _figure(row["gain"], signed=True),
            numbers.p_value(row["p_holm"]),
            _percent(row["zero"]["mean"]),
            _percent(row["tax"], signed=True),
            _percent(row["net"], signed=True),
            str(len(row["seeds"])),
            _word(row),
        )
        for row in rows
    )
    columns = (
        *("method", "own bank [95 %]", "foreign bank [95 %]", "gain [95 %]", "p (Holm)"),
        *("zero bank", "tax", "net", "seeds", "verdict"),
    )
    note = (
        "Token F1 in percent. Gain: own minus foreign bank. Tax: what the adapter costs with an empty bank. Net: own "
    )
    note += "bank minus the frozen model without memory."
    known = [f"{name} {_figure(figure)}" for name, figure in references.items()]
    note += f" The frozen model by itself: {'; '.join(known)}." if known else ""
    return Table("Latent memory", columns, cells, ("arm",) * len(cells), note)


def _checks(checks: Sequence[Mapping[str, Any]]) -> Table:
    cells = tuple(
        (
            _label(check),
            _figure(check["falls"], signed=True),
            _figure(check["grows"], signed=True),
            "–" if check["times"] is None or not _known(check["times"]["mean"]) else f"{check['times']['mean']:.1f}",
        )
        for check in checks
    )
    columns = ("method", "falls with lag [95 %]", "grows with capacity [95 %]", "own / foreign bank")
    note = (
        "Falls: gain at the shortest lags minus that at the longest. Grows: gain of the larger bank minus that of the "
    )
    note += "smaller one. Points of F1."
    return Table("Checks", columns, cells, ("arm",) * len(cells), note)


def _by_lag(rows: Sequence[Mapping[str, Any]]) -> str:
    largest = max((row["capacity"] for row in rows), default=0)
    series = {
        _name(row): [
            None if bucket["gain"] is None else tuple(100 * bucket["gain"][side] for side in ("mean", "low", "high"))
            for bucket in row["buckets"]
        ]
        for row in rows
        if row["capacity"] == largest
    }
    names = [bucket["lags"] for bucket in rows[0]["buckets"]] if rows else []
    if not names or not series:
        return ""
    drawn = bars_of_error(series, names, "turns between the evidence and the end", "gain over the foreign bank, points")
    return f"<h3>Forgetting: gain by lag, larger banks</h3>{drawn}"


def _word(row: Mapping[str, Any]) -> str:
    """Return the verdict on a row in a word or two, by the corrected p, which stands beside it."""
    said = str(row["verdict"]).partition(" (")[0]
    return said if said != "recall" or row["p_holm"] < _ALPHA else "no recall shown"


def _label(row: Mapping[str, Any]) -> str:
    label, form = str(row["label"]), str(row["form"])
    return label if form in label else f"{label} ({form})"


def _name(row: Mapping[str, Any]) -> str:
    return f"{_label(row)}, {row['rows']} rows"


def _figure(figure: Mapping[str, Any], signed: bool = False) -> str:
    if not _known(figure["mean"]):
        return "–"
    form = "{:+.1f}" if signed else "{:.1f}"
    low, high = (form.format(100 * figure[side]) if _known(figure[side]) else "?" for side in ("low", "high"))
    return f"{form.format(100 * figure['mean'])} [{low}, {high}]"


def _percent(value: float | None, signed: bool = False) -> str:
    return "–" if not _known(value) else f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"  # type: ignore[operator]


def _known(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
