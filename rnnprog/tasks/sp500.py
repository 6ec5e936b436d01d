"""Ten large US stocks, 2013 to 2018: tomorrow's return of the ten together."""

from __future__ import annotations

import csv
import gzip
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dspy

from rnnprog.errors import DataError
from rnnprog.tasks.base import TaskData
from rnnprog.tasks.own import Reading, from_dataset
from rnnprog.tasks.registry import register_task

__all__ = ["TICKERS", "NextReturn", "sp500", "sp500_dataset"]

TICKERS = ("AAPL", "AMZN", "IBM", "INTC", "JNJ", "JPM", "KO", "MSFT", "WMT", "XOM")


class NextReturn(dspy.Signature):
    """Predict the next trading day's return, in percent, of an equal-weighted portfolio of ten large US stocks from
    today's returns in percent.
    """

    AAPL: float = dspy.InputField(desc="Apple, today's return in percent")
    AMZN: float = dspy.InputField(desc="Amazon")
    IBM: float = dspy.InputField(desc="IBM")
    INTC: float = dspy.InputField(desc="Intel")
    JNJ: float = dspy.InputField(desc="Johnson & Johnson")
    JPM: float = dspy.InputField(desc="JPMorgan")
    KO: float = dspy.InputField(desc="Coca-Cola")
    MSFT: float = dspy.InputField(desc="Microsoft")
    WMT: float = dspy.InputField(desc="Walmart")
    XOM: float = dspy.InputField(desc="ExxonMobil")
    portfolio: float = dspy.InputField(desc="the mean of the ten, today's return of the portfolio in percent")
    next_day_return: float = dspy.OutputField(desc="tomorrow's return of the portfolio in percent", ge=-100, le=100)


def how_to_get_river(python: tuple[int, int]) -> str:
    """Say what is missing and what can be done about it on this version of Python."""
    needs = "the sp500 task reads a file of the package river, 0.26 or later"
    if python < (3, 11):
        return f"{needs}, which needs Python 3.11; this is {python[0]}.{python[1]}. Use a newer Python, or another task"
    return f'{needs}; pip install -U "rnnprog[data]" "river>=0.26"'


def sp500_dataset() -> Any:
    """Return the 1,257 trading days as a ``datasets.Dataset`` in memory, with today's portfolio return added.

    Raises:
        DataError: ``river`` is not installed, or its copy lacks the file.
    """
    spec = find_spec("river")  # found, not imported: its file is all that is needed
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    path = None if folder is None else folder / "datasets" / "sp500.csv.gz"
    if path is None or not path.is_file():
        raise DataError(how_to_get_river(sys.version_info[:2]))
    from datasets import Dataset

    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        days: list[dict[str, Any]] = list(csv.DictReader(file))
    for day in days:
        day["portfolio"] = round(sum(float(day[ticker]) for ticker in TICKERS) / len(TICKERS), 6)
    return Dataset.from_list(days)


@register_task("sp500")
def sp500(limit: int | None = None) -> TaskData:
    """Next trading day's return of ten large US stocks held in equal parts, in percent.

    One sequence of 1,257 trading days, February 2013 to February 2018. Source: the "S&P 500 stock data" set, as
    packaged in River (``river.datasets.SP500Stocks``; BSD-3-Clause package). ``pip install "rnnprog[data]"``.

    Args:
        limit: days to read; ``None`` for all.

    Raises:
        DataError: ``river`` is not installed.

    Example:
        >>> sp500(limit=1).sequences[0].steps[0].target
        {'next_day_return': -0.216671}
    """
    data = from_dataset(
        sp500_dataset(),
        NextReturn,
        target="next_day_return",
        order_by="date",
        limit=limit,
        reading=Reading(name="sp500", about="daily returns of ten stocks of the S&P 500, percent (river)"),
    )
    scored = data.with_metrics("mse[next_day_return]", "mae[next_day_return]")
    return scored.with_floors("predict_zero", *data.floors)
