"""Is it more than chance? Intervals, paired tests, corrections, and what the data could have shown.

Start with :func:`compare`; give single figures their interval with :func:`interval`.
"""

from rnnprog.statistics.blocks import block_length, stationary_indices
from rnnprog.statistics.choose import Choice, choose_test
from rnnprog.statistics.compare import Rules, compare
from rnnprog.statistics.comparison import Comparison
from rnnprog.statistics.correction import corrected
from rnnprog.statistics.interval import Estimate, interval
from rnnprog.statistics.paired import TestResult, diebold_mariano, mcnemar, paired_permutation, wilcoxon
from rnnprog.statistics.power import detectable_by_error, detectable_by_mcnemar, detectable_by_sequences

__all__ = [
    "Choice",
    "Comparison",
    "Estimate",
    "Rules",
    "TestResult",
    "block_length",
    "choose_test",
    "compare",
    "corrected",
    "detectable_by_error",
    "detectable_by_mcnemar",
    "detectable_by_sequences",
    "diebold_mariano",
    "interval",
    "mcnemar",
    "paired_permutation",
    "stationary_indices",
    "wilcoxon",
]
