"""Metrics by name, as they are written on the command line: ``accuracy``, ``acc@5[diagnosis]``, ``mae[temp_max]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.exact import acc_at, accuracy, macro_f1
from rnnprog.metrics.metric import Metric
from rnnprog.metrics.numeric import crps, mae, mse, pinball

__all__ = ["METRIC_NAMES", "MetricLike", "default_metric", "get_metric"]

MetricLike = Union[str, Metric]

_NAME = re.compile(r"(?P<kind>[a-z_0-9]+?)(?:@(?P<level>[0-9.]+))?(?:\[(?P<field>[^\]]+)\])?")
_OF_FIELD = {"macro_f1": macro_f1, "mse": mse, "mae": mae, "crps": crps}
METRIC_NAMES = (
    "accuracy",
    "accuracy[FIELD]",
    "acc@K[FIELD]",
    "pinball[FIELD]",
    "pinball@LEVEL[FIELD]",
    *(f"{name}[FIELD]" for name in _OF_FIELD),
)
"""The forms that :func:`get_metric` reads."""


def get_metric(name: MetricLike, field: str | None = None) -> Metric:
    """Return the metric of that name.

    Args:
        name: e.g. ``"accuracy"``, ``"macro_f1[tomorrow]"``, ``"acc@5[diagnosis]"``, ``"pinball@0.9[load]"``; a
            metric is returned as it is.
        field: the output to look at, where the name does not say.

    Raises:
        ConfigurationError: no such metric, or it needs a field or a number and has none.

    Example:
        >>> get_metric("acc@5[diagnosis]").name, get_metric("mae", "load").better
        ('acc@5[diagnosis]', 'lower')
    """
    if isinstance(name, Metric):
        return name
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise ConfigurationError(f"unknown metric {name!r}; there are {', '.join(METRIC_NAMES)}")
    kind, level, field = match["kind"], match["level"], match["field"] or field
    if kind == "accuracy" and level is None:
        return accuracy(field)
    if field is None:
        raise ConfigurationError(f"metric {name!r} needs an output to look at: write {name}[FIELD]")
    try:
        if kind == "acc" and level is not None:
            return acc_at(int(level), field)
        if kind == "pinball":
            return pinball(field, None if level is None else float(level))
    except ValueError as error:
        raise ConfigurationError(f"metric {name!r}: {error}") from error
    if kind in _OF_FIELD and level is None:
        return _OF_FIELD[kind](field)
    raise ConfigurationError(f"unknown metric {name!r}; there are {', '.join(METRIC_NAMES)}")


def default_metric(outputs: Mapping[str, Any]) -> Metric:
    """Return the obvious metric for the outputs of a task.

    One number is scored by its mean absolute error, one ranked list by whether its first entry is true, anything
    else by accuracy over all outputs.

    Args:
        outputs: type by output field.

    Example:
        >>> default_metric({"temp_max": float}).name, default_metric({"a": str, "b": bool}).name
        ('mae[temp_max]', 'accuracy')
    """
    if len(outputs) == 1:
        ((field, kind),) = outputs.items()
        while get_origin(kind) is not None and hasattr(kind, "__metadata__"):
            kind = get_args(kind)[0]
        if kind is float or kind is int:
            return mae(field)
        if kind is list or get_origin(kind) is list:
            return acc_at(1, field)
    return accuracy()
