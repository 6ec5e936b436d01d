"""What the model is asked. These texts are the weights of a frozen-model network.

From one task signature the three phases are derived: :func:`derive_predict`, :data:`Reflect`, :data:`Rewrite` (or
:data:`Revise`, where notes are edited one by one);
:data:`Judge` stands in where no label exists. :data:`ScoreMatch` and :data:`ScoreAlignment` score
finished walks and take no part in one.
"""

from rnnprog.signatures.judge import Judge
from rnnprog.signatures.predict import derive_predict
from rnnprog.signatures.reflect import Reflect
from rnnprog.signatures.revise import Revise
from rnnprog.signatures.rewrite import Rewrite
from rnnprog.signatures.scoring import ScoreAlignment, ScoreMatch
from rnnprog.signatures.task import RESERVED_NAMES, Task, TaskLike, as_task
from rnnprog.signatures.text import as_text

__all__ = [
    "RESERVED_NAMES",
    "Judge",
    "Reflect",
    "Revise",
    "Rewrite",
    "ScoreAlignment",
    "ScoreMatch",
    "Task",
    "TaskLike",
    "as_task",
    "as_text",
    "derive_predict",
]
