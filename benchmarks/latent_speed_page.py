"""The measured ratios of the latent wing as values: kept in a JSON file by shape, shown as one table of a document."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

_ORDER = ("write,", "answer,", "training,", "writes", "bare", "bank")
_BLOCK = re.compile(r"(<!-- latent speed -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Ratio:
    """Ratio of two median times and the quartiles of the ratio over single rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """One measured ratio and the limit that the project sets itself (``None``: for comparison only)."""

    name: str
    ratio: Ratio
    limit: float | None
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the median keeps the limit."""
        if self.limit is None:
            return True
        return self.ratio.median <= self.limit if self.at_most else self.ratio.median >= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return "-" if self.limit is None else f"{'<=' if self.at_most else '>='} {self.limit:g}"

    def __str__(self) -> str:
        return f"| {self.name} | {self.ratio} | {self.wanted} | {'' if self.met else 'MISSED'} |"


Runs = dict[str, list[Row]]


def load(path: Path) -> Runs:
    """The runs of a JSON file, by name."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    return {
        run: [Row(row["name"], Ratio(**row["ratio"]), row["limit"], row["at_most"]) for row in rows]
        for run, rows in stored.items()
    }


def table(runs: Runs) -> str:
    """One line for each ratio, one column for each run; what misses its limit is bold."""
    first: dict[str, Row] = {}
    for row in sorted((row for rows in runs.values() for row in rows), key=_place):
        first.setdefault(row.name, row)
    found = {(run, row.name): row for run, rows in runs.items() for row in rows}
    lines = [["what", *runs, "limit"], ["---"] * (len(runs) + 2)]
    for name, row in first.items():
        cells = [_cell(found.get((run, name))) for run in runs]
        lines.append([name, *cells, row.wanted])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _place(row: Row) -> int:
    first = row.name.split()[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER)


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    return str(row.ratio) if row.met else f"**{row.ratio}**"


def filled(text: str, runs: Runs) -> str:
    """The document with its block ``<!-- latent speed -->`` up to ``<!-- end -->`` written anew."""
    new, count = _BLOCK.subn(lambda found: f"{found[1]}\n{table(runs)}\n\n{found[2]}", text)
    if not count:
        raise SystemExit("the document has no block <!-- latent speed --> ... <!-- end --> to fill")
    return new


def publish(document: Path, run: str, rows: list[Row]) -> None:
    """Put the rows of this run into ``latent-speed.json`` beside the document, and the table into the document."""
    path = document.with_name("latent-speed.json")
    runs = load(path)
    known = {row.name: row for row in runs.get(run, [])} | {row.name: row for row in rows}
    runs[run] = list(known.values())
    document.write_text(filled(document.read_text(), runs))
    stored = {name: [asdict(row) for row in some] for name, some in runs.items()}
    path.write_text(json.dumps(stored, indent=1) + "\n")
