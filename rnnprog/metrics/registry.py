"""Metrics by name, as they are written on the command line: ``accuracy``, ``acc@5[diagnosis]``, ``mae[temp_max]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from rnnprog.errors import ConfigurationError
from rnnprog.metrics.exact import acc_at, accuracy, macro_f1
from rnnprog.metrics.judged import alignment, judged
from rnnprog.metrics.metric import Metric
from rnnprog.metrics.numeric import crps, mae, mse, pinball
from rnnprog.metrics.probability import brier, ece, roc_auc

__all__ = ["METRIC_NAMES", "MetricLike", "default_metric", "get_metric"]

MetricLike = Union[str, Metric]

_NAME = re.compile(r"(?P<kind>[a-z_0-9]+?)(?:@(?P<level>[0-9.]+))?(?:\[(?P<field>[^\]]+)\])?")
_PLAIN = {"judged": judged, "alignment": alignment}
_OF_FIELD = {"macro_f1": macro_f1, "mse": mse, "mae": mae, "crps": crps}
_OF_TWO = {"brier": brier, "ece": ece, "roc_auc": roc_auc}
METRIC_NAMES = (
    "accuracy",
    "accuracy[FIELD]",
    "acc@K[FIELD]",
    "pinball[FIELD]",
    "pinball@LEVEL[FIELD]",
    *(f"{name}[FIELD]" for name in _OF_FIELD),
    "brier[FIELD]",
    "brier[FIELD:CONFIDENCE]",
    "ece[FIELD]",
    "ece[FIELD:CONFIDENCE]",
    "roc_auc[FIELD]",
    "roc_auc[FIELD:LABEL]",
    *_PLAIN,
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
    if kind in _PLAIN and level is None:
        return _PLAIN[kind]()
    if field is None:
        if kind not in {"acc", "pinball"} | _OF_FIELD.keys() | _OF_TWO.keys():
            raise ConfigurationError(f"unknown metric {name!r}; there are {', '.join(METRIC_NAMES)}")
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
    if kind in _OF_TWO and level is None:
        first, _, second = field.partition(":")
        return _OF_TWO[kind](first, second or None)
    raise ConfigurationError(f"unknown metric {name!r}; there are {', '.join(METRIC_NAMES)}")


def default_metric(outputs: Mapping[str, Any]) -> Metric:
    """Return the obvious metric for the outputs of a task.

    Labels are scored by accuracy, a ranked list by whether its first entry is true, a number by its mean absolute
    error. Where labels and other outputs are mixed the first label counts, as no float is ever hit exactly.

    Args:
        outputs: type by output field.

    Example:
        >>> default_metric({"temp_max": float}).name, default_metric({"a": str, "b": bool}).name
        ('mae[temp_max]', 'accuracy')
    """
    kinds = {name: _plain(kind) for name, kind in outputs.items()}
    labels = [name for name, kind in kinds.items() if kind not in (int, float, list)]
    if labels:
        return accuracy() if len(labels) == len(kinds) else accuracy(labels[0])
    first, kind = next(iter(kinds.items()))
    return acc_at(1, first) if kind is list else mae(first)


def _plain(kind: Any) -> Any:
    while hasattr(kind, "__metadata__"):
        kind = get_args(kind)[0]
    return list if get_origin(kind) is list else kind
