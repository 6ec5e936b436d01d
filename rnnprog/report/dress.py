"""The three dresses of a table: HTML for the page, Markdown for an issue, LaTeX for a paper."""

from __future__ import annotations

import html
import re

from rnnprog.report.tables import Table

__all__ = ["to_html", "to_latex", "to_markdown"]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "°": r"\textdegree{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_LATEX_SPECIAL = re.compile("|".join(re.escape(char) for char in _LATEX))
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")
_INTERVAL = re.compile(r"\[[^\[\]]*\]|\d %")
_MARKDOWN_SPECIAL = re.compile(r"([\\|`*_<>\[\]])")


def to_html(table: Table) -> str:
    """Return the table as HTML; every cell is escaped.

    Example:
        >>> "<script>" in to_html(Table("t", ("a",), (("<script>",),), ("arm",)))
        False
    """
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    body = []
    for row, kind in zip(table.rows, table.kinds, strict=True):
        name, *cells = (_together(html.escape(cell)) for cell in row)
        body.append(f'<tr class="{kind}"><th scope="row">{name}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>')
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(table.title, quote=True)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>{note}"
    )


def _together(cell: str) -> str:
    """Keep an interval, and a number with its unit, on one line where a narrow page breaks the cell."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), cell)


def to_markdown(table: Table) -> str:
    r"""Return the table in Markdown.

    Example:
        >>> print(to_markdown(Table("t", ("arm", "n"), (("a|b", "1"),), ("arm",))))
        | arm | n |
        |:--|--:|
        | a\|b | 1 |
    """
    lines = [_md_row(table.columns), "|:--" + "|--:" * (len(table.columns) - 1) + "|"]
    lines += [_md_row(row) for row in table.rows]
    return "\n".join(lines) + (f"\n\n{table.note}" if table.note else "")


def to_latex(table: Table) -> str:
    r"""Return the table in LaTeX, for the package booktabs.

    Example:
        >>> print(to_latex(Table("t", ("arm", "n"), (("a_b", "5 %"),), ("arm",))).splitlines()[4])
        a\_b & 5 \% \\
    """
    lines = [r"\begin{tabular}{l" + "r" * (len(table.columns) - 1) + "}", r"\toprule"]
    lines += [_tex_row(table.columns), r"\midrule"]
    for before, kind, row in zip(("", *table.kinds), table.kinds, table.rows, strict=False):
        lines += [r"\midrule"] if kind == "floor" != before and before else []
        lines.append(_tex_row(row))
    lines += [r"\bottomrule", r"\end{tabular}"]
    note = [f"% Note: {' '.join(table.note.split())}"] if table.note else []
    return "\n".join([*lines, *note])


def _md_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(cell.split())) for cell in cells) + " |"


def _tex_row(cells: tuple[str, ...]) -> str:
    plain = (_LATEX_SPECIAL.sub(lambda m: _LATEX[m[0]], cell) for cell in cells)
    return " & ".join(_MINUS.sub("$-$", cell) for cell in plain) + r" \\"
