"""Numbers from traces: pure functions, no model, no clock.

Get a metric by name with :func:`get_metric`, score a run with :func:`score_steps`.
"""

from rnnprog.metrics.cost import Cost, cost
from rnnprog.metrics.curve import CurvePoint, learning_curve
from rnnprog.metrics.dspy_metric import DspyMetric
from rnnprog.metrics.exact import acc_at, accuracy, macro_f1, right, same
from rnnprog.metrics.faults import Faults, faults
from rnnprog.metrics.judged import alignment, judged
from rnnprog.metrics.memories import MemoryPoint, memory_curve, memory_of
from rnnprog.metrics.metric import Case, Corpus, Metric, Source, cases
from rnnprog.metrics.numeric import crps, mae, mse, pinball
from rnnprog.metrics.probability import CalibrationBin, brier, calibration, ece, roc_auc
from rnnprog.metrics.recovery import Recovery, recovery
from rnnprog.metrics.registry import METRIC_NAMES, MetricLike, default_metric, get_metric
from rnnprog.metrics.running import Running
from rnnprog.metrics.score import Scores, score, score_steps
from rnnprog.metrics.summary import summary

__all__ = [
    "METRIC_NAMES",
    "CalibrationBin",
    "Case",
    "Corpus",
    "Cost",
    "CurvePoint",
    "DspyMetric",
    "Faults",
    "MemoryPoint",
    "Metric",
    "MetricLike",
    "Recovery",
    "Running",
    "Scores",
    "Source",
    "acc_at",
    "accuracy",
    "alignment",
    "brier",
    "calibration",
    "cases",
    "cost",
    "crps",
    "default_metric",
    "ece",
    "faults",
    "get_metric",
    "judged",
    "learning_curve",
    "macro_f1",
    "mae",
    "memory_curve",
    "memory_of",
    "mse",
    "pinball",
    "recovery",
    "right",
    "roc_auc",
    "same",
    "score",
    "score_steps",
    "summary",
]
