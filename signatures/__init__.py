"""What the model is asked. These texts are the weights of a frozen-model network.

From one task signature the three phases are derived: :func:`derive_predict`, :data:`Reflect`, :data:`Rewrite`;
:data:`Judge` stands in where no label exists.
"""

from rnnprog.signatures.judge import Judge
from rnnprog.signatures.predict import derive_predict
from rnnprog.signatures.reflect import Reflect
from rnnprog.signatures.rewrite import Rewrite
from rnnprog.signatures.task import RESERVED_NAMES, Task, TaskLike, as_task
from rnnprog.signatures.text import as_text

__all__ = [
    "RESERVED_NAMES",
    "Judge",
    "Reflect",
    "Rewrite",
    "Task",
    "TaskLike",
    "as_task",
    "as_text",
    "derive_predict",
]
