"""Numbers from traces: pure functions, no model, no clock.

Get a metric by name with :func:`get_metric`, score a run with :func:`score_steps`.
"""

from rnnprog.metrics.exact import acc_at, accuracy, macro_f1, right, same
from rnnprog.metrics.judged import alignment, judged
from rnnprog.metrics.metric import Case, Metric, Source, cases
from rnnprog.metrics.numeric import crps, mae, mse, pinball
from rnnprog.metrics.probability import CalibrationBin, brier, calibration, ece, roc_auc
from rnnprog.metrics.registry import METRIC_NAMES, MetricLike, default_metric, get_metric
from rnnprog.metrics.running import Running
from rnnprog.metrics.score import Scores, score, score_steps

__all__ = [
    "METRIC_NAMES",
    "CalibrationBin",
    "Case",
    "Metric",
    "MetricLike",
    "Running",
    "Scores",
    "Source",
    "acc_at",
    "accuracy",
    "alignment",
    "brier",
    "calibration",
    "cases",
    "crps",
    "default_metric",
    "ece",
    "get_metric",
    "judged",
    "macro_f1",
    "mae",
    "mse",
    "pinball",
    "right",
    "roc_auc",
    "same",
    "score",
    "score_steps",
]
