"""An adapter that takes the whole text of an answer as it came, for answers that are read by their last line."""

from __future__ import annotations

from typing import Any

import dspy

__all__ = ["Verbatim"]


class Verbatim(dspy.ChatAdapter):
    """Asks as dspy's ``ChatAdapter`` does and reads nothing: the single output is the text as the model sent it.

    Use it for signatures with one text output. No second call in JSON is made behind the caller's back, and a model
    that leaves out the field markers is still understood.

    Example:
        >>> Verbatim().parse(dspy.Signature("sky -> tomorrow"), "1. It rains.")
        {'tomorrow': '1. It rains.'}
    """

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Return the completion under the name of the signature's only output."""
        (name,) = signature.output_fields
        return {name: completion}
