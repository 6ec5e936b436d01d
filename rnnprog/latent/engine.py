"""The latent memory as an engine for ``dspy.LM``: a larger program asks it like any other model."""

from __future__ import annotations

import asyncio
import json
import re

from dspy.lm15 import Message, Request, Response, Usage

from rnnprog.latent.errors import EmptyConversationError
from rnnprog.latent.memory import DEFAULT, LatentMemory

_SECTION = re.compile(r"\[\[ ## (?P<name>\w+) ## \]\]\n(?P<text>.*?)(?=\n\[\[ ## |\n\nRespond with|\Z)", re.DOTALL)
_ORDER = "\n\nRespond with "


class AsyncLatentEngine:
    """The async twin, in a thread: ``dspy.LM(..., engine=e, async_engine=AsyncLatentEngine(e), cache=False)``."""

    def __init__(self, engine: LatentEngine) -> None:
        self.engine = engine

    async def complete(self, request: Request) -> Response:
        """One greedy answer, without blocking the event loop."""
        return await asyncio.to_thread(self.engine.complete, request)

    async def aclose(self) -> None:
        """Nothing to release."""


class LatentEngine:
    """Answers from one user's memory: ``dspy.LM("latent/memory", engine=LatentEngine(memory), cache=False)``.

    With its cache on, ``dspy`` goes on giving the answers of an older bank. A program is saved without this model (its
    memory is no JSON): set it to None before saving, set it again after loading, and save the banks by ``memory.save``.

    Use it to let a latent memory stand where a program expects a language model. The last user message is the question;
    if the chat or the JSON adapter wrote it, the field ``field`` is taken (the last input field if there is none of
    this name) and the answer goes into every output field, for the decoder gives one text. Asking writes nothing.

    Raises ``EmptyConversationError`` when the request holds no question.
    """

    def __init__(
        self, memory: LatentMemory, *, user: str = DEFAULT, field: str = "question", max_new_tokens: int = 32
    ) -> None:
        self.memory = memory
        self.user = user
        self.field = field
        self.max_new_tokens = max_new_tokens

    def complete(self, request: Request) -> Response:
        """One greedy answer."""
        said = [message.text or "" for message in request.messages if message.role == "user"]
        if not said or not said[-1].strip():
            raise EmptyConversationError("the request has no user message: ask a question")
        question = self.question_in(said[-1])
        answer = self.memory.answer(question, user=self.user, max_new_tokens=self.max_new_tokens)
        text = laid_out(answer, said[-1])
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=self._usage(question, answer),
        )

    def question_in(self, text: str) -> str:
        """The question itself, out of an adapter's layout if there is one.

        Raises ``EmptyConversationError`` when there is none.

        >>> LatentEngine.question_in(LatentEngine.__new__(LatentEngine), "plain question")
        'plain question'
        """
        fields = {match["name"]: match["text"].strip() for match in _SECTION.finditer(text)}
        asked = fields.get(self.field, [*fields.values()][-1]) if fields else text.strip()
        if not asked:
            raise EmptyConversationError(f"the request leaves {self.field!r} empty: ask a question")
        return asked

    def close(self) -> None:
        """Nothing to release."""

    def _usage(self, question: str, answer: str) -> Usage:
        tokenizer = self.memory.model.backbone.tokenizer
        asked, answered = (len(tokenizer(text)["input_ids"]) for text in (question, answer))
        return Usage(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)


def laid_out(answer: str, asked: str) -> str:
    r"""The answer in the layout that the last paragraph of an adapter's message asks for; as it is without one.

    >>> laid_out("dog", "Who?\n\nRespond with a JSON object in the following order of fields: `pet`.")
    '{"pet": "dog"}'
    """
    _, ordered, order = asked.rpartition(_ORDER)
    if not ordered:
        return answer
    if order.startswith("a JSON object"):
        return json.dumps(dict.fromkeys(re.findall(r"`(\w+)`", order), answer))
    names = [name for name in re.findall(r"\[\[ ## (\w+) ## \]\]", order) if name != "completed"]
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{answer}" for name in names), "[[ ## completed ## ]]"])
