"""Seattle's daily weather, 2012 to 2015: what will tomorrow bring?"""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import dspy

from rnnprog.errors import ConfigurationError, DataError
from rnnprog.tasks.base import TaskData
from rnnprog.tasks.own import Reading, from_dataset
from rnnprog.tasks.registry import register_task

__all__ = ["NextHigh", "NextWeather", "weather", "weather_dataset"]

Sky = Literal["drizzle", "fog", "rain", "snow", "sun"]


class _Day(dspy.Signature):
    precipitation: float = dspy.InputField(desc="today's precipitation in mm")
    temp_max: float = dspy.InputField(desc="today's highest temperature in degrees Celsius")
    temp_min: float = dspy.InputField(desc="today's lowest temperature in degrees Celsius")
    wind: float = dspy.InputField(desc="today's mean wind speed in m/s")
    weather: Sky = dspy.InputField(desc="today's weather")
    month: int = dspy.InputField(desc="the month, 1 to 12")


class NextWeather(_Day):
    """Predict tomorrow's weather in Seattle from today's observation."""

    tomorrow: Sky = dspy.OutputField(desc="tomorrow's weather")


class NextHigh(_Day):
    """Predict tomorrow's highest temperature in Seattle, in degrees Celsius, from today's observation."""

    temp_max_tomorrow: float = dspy.OutputField(desc="tomorrow's highest temperature in degrees Celsius", ge=-30, le=50)


def weather_dataset(labels: str = "corrected") -> Any:
    """Return the 1,461 days as a ``datasets.Dataset`` in memory, with year and month added.

    Args:
        labels: ``"corrected"`` or ``"packaged"``, see :func:`weather`.

    Raises:
        DataError: ``vega_datasets`` is not installed.
    """
    spec = find_spec("vega_datasets")  # found, not imported: its file is all that is needed
    if spec is None or not spec.submodule_search_locations:
        raise DataError('the weather task reads a file of the package vega_datasets; pip install "rnnprog[data]"')
    from datasets import Dataset

    path = Path(spec.submodule_search_locations[0]) / "_data" / "seattle-weather.csv"
    with path.open(encoding="utf-8", newline="") as file:
        days = list(csv.DictReader(file))
    for day in days:
        day["date"] = day["date"].replace("/", "-")
        day["year"], day["month"] = day["date"][:4], day["date"][5:7]
        if labels == "corrected" and day["weather"] in ("sun", "fog") and float(day["precipitation"]) > 0:
            day["weather"] = "rain"
    return Dataset.from_list(days)


@register_task("weather")
def weather(
    target: str = "weather", by: str | None = None, labels: str = "corrected", limit: int | None = None
) -> TaskData:
    """Seattle's daily weather: tomorrow's class, or tomorrow's highest temperature.

    One sequence of 1,461 days, whose last has no outcome. Source: NOAA, as packaged in ``vega_datasets``
    (``seattle-weather``; the code is MIT, the measurements are public domain). ``pip install "rnnprog[data]"``.

    The packaged labels have a known fault: from 2013 on the source no longer told rain from fog, so that 387 days with
    measured precipitation are called fog or sun, and 2014 has 3 days of rain. By default such days are called rain, as
    vega's own second edition does; ``labels="packaged"`` leaves them as they are (vega-datasets pull request 142).

    Args:
        target: ``"weather"`` (one of five classes) or ``"temp_max"`` (degrees Celsius).
        by: ``"year"`` for four sequences, one a year, each with its own memory; 31 December then has no outcome.
        labels: ``"corrected"`` or ``"packaged"``.
        limit: days to read; ``None`` for all.

    Raises:
        DataError: ``vega_datasets`` is not installed.
        ConfigurationError: another target, ``by`` or ``labels``.

    Example:
        >>> weather(limit=2).sequences[0].steps[0].target
        {'tomorrow': 'rain'}
    """
    signatures = {"weather": NextWeather, "temp_max": NextHigh}
    if target not in signatures:
        raise ConfigurationError(f"weather: target={target!r}; choose 'weather' or 'temp_max'")
    if by not in (None, "year"):
        raise ConfigurationError(f"weather: by={by!r}; choose 'year', or None for one long sequence")
    if labels not in ("corrected", "packaged"):
        raise ConfigurationError(f"weather: labels={labels!r}; choose 'corrected' or 'packaged'")
    return from_dataset(
        weather_dataset(labels),
        signatures[target],
        target=f"next:{target}",
        sequence_by=by,
        order_by="date",
        limit=limit,
        reading=Reading(
            name="weather" if target == "weather" else f"weather-{target}",
            about="Seattle, daily, 2012 to 2015 (vega_datasets)",
        ),
    )
