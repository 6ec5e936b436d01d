"""The thrifty formatting makes the very texts that dspy makes, and notices every change of a signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rnnprog.lm.adapter import memory_in_system
from rnnprog.lm.formatting import thrifty
from rnnprog.signatures import Reflect, Rewrite, as_task, derive_predict

ADAPTERS = [dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter]


class Reading(BaseModel):
    celsius: float
    place: str = "roof"


class Weather(dspy.Signature):
    """Say what comes."""

    memory: str = dspy.InputField(desc="notes")
    readings: list[Reading] = dspy.InputField()
    note: Any = dspy.InputField()
    tomorrow: Literal["sun", "rain"] = dspy.OutputField()
    why: str = dspy.OutputField(desc="in one line", max_length=80)


TASK = derive_predict(as_task("rain: float, wet: bool, n: int, sky: str -> tomorrow: Literal['sun', 'rain']"))
SIGNATURES = [Weather, TASK, Reflect, Rewrite]
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.lists(st.text(), max_size=3),
    st.dictionaries(st.text(), st.text(), max_size=2),
    st.builds(Reading, celsius=st.floats(allow_nan=False, allow_infinity=False)),
)


def rendered(adapter: dspy.Adapter, signature: Any, inputs: dict[str, Any], demos: list[dict[str, Any]]) -> Any:
    return adapter.format(signature, demos, inputs)


def thrifty_adapter(adapter: dspy.Adapter) -> dspy.Adapter:
    with dspy.context(adapter=adapter), thrifty():
        found: dspy.Adapter = dspy.settings.adapter
    return found


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("signature", SIGNATURES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_prompt_is_what_dspy_makes_of_it(kind: Any, signature: Any, data: st.DataObject) -> None:
    inputs = {name: data.draw(VALUES, label=name) for name in signature.input_fields}
    demos = [{**inputs, **{name: data.draw(st.text(min_size=1)) for name in signature.output_fields}}]
    plain = kind()
    assert rendered(thrifty_adapter(plain), signature, inputs, demos) == rendered(plain, signature, inputs, demos)


BLANKS = st.text(alphabet=" \n\tx\0[]#{}%", max_size=6)


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("last", [True, False])
@settings(max_examples=60, deadline=None)
@given(values=st.tuples(BLANKS, BLANKS), prefix=BLANKS, suffix=BLANKS)
def test_blanks_at_the_ends_and_odd_marks_in_values_change_nothing(
    kind: Any, last: bool, values: tuple[str, str], prefix: str, suffix: str
) -> None:
    signature: Any = dspy.Signature("sky, wind -> tomorrow")
    plain = kind()
    frugal = thrifty_adapter(plain)
    for inputs in (
        dict(zip(("sky", "wind"), values, strict=True)),
        {"wind": values[1], "sky": values[0]},
        {"sky": "\0wind\0"},
    ):
        asked = {"prefix": prefix, "suffix": suffix, "main_request": last}
        expected = plain.format_user_message_content(signature, inputs, **asked)
        for _ in range(2):  # made, then kept
            assert frugal.format_user_message_content(signature, inputs, **asked) == expected


def test_texts_and_inputs_stay_plain() -> None:
    seen: list[Any] = []

    class Engine:
        def complete(self, request: Any) -> Any:
            seen.append(request)
            raise RuntimeError("seen")

    predict = dspy.Predict("sky -> tomorrow")
    lm = dspy.LM("x/y", engine=Engine(), cache=False, num_retries=0)
    with dspy.context(lm=lm), thrifty(), pytest.raises(Exception, match="seen"):
        predict(sky="grey")
    assert type(seen[0].messages[-1].text) is str


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_signature_changed_in_place_is_noticed(kind: Any) -> None:
    signature: Any = dspy.Signature("sky -> tomorrow: Literal['sun', 'rain']", "First.")
    changes: list[Callable[[], Any]] = [
        lambda: setattr(signature, "instructions", "Second."),
        lambda: signature.output_fields["tomorrow"].json_schema_extra.update(desc="what comes"),
        lambda: setattr(signature.model_fields["tomorrow"], "annotation", Literal["rain", "sun"]),
        lambda: setattr(signature.model_fields["sky"], "annotation", int),
    ]
    inputs, plain = {"sky": "grey"}, kind()
    frugal = thrifty_adapter(plain)
    before = rendered(frugal, signature, inputs, [])
    for change in changes:
        change()
        now = rendered(frugal, signature, inputs, [])
        assert now == rendered(plain, signature, inputs, [])
        assert now != before or kind is dspy.XMLAdapter
        before = now


def test_labels_in_another_order_are_another_prompt() -> None:
    frugal = thrifty_adapter(dspy.ChatAdapter())
    texts = [
        rendered(frugal, dspy.Signature(f"sky -> tomorrow: Literal[{labels}]"), {"sky": "grey"}, [])[0]["content"]
        for labels in ("'sun', 'rain'", "'rain', 'sun'")
    ]
    assert texts[0] != texts[1]


def test_types_that_describe_themselves_are_asked_each_time() -> None:
    class Mood(dspy.Type):
        times: ClassVar[int] = 0

        @classmethod
        def description(cls) -> str:
            cls.times += 1
            return f"asked {cls.times}"

        def format(self) -> str:
            return "mood"

    signature: Any = dspy.Signature({"mood": (Mood, dspy.InputField()), "tomorrow": (str, dspy.OutputField())})
    frugal = thrifty_adapter(dspy.ChatAdapter())
    first, second = (rendered(frugal, signature, {"mood": Mood()}, [])[0]["content"] for _ in range(2))
    assert first != second


def test_an_adapter_of_somebody_else_is_left_alone() -> None:
    class Mine(dspy.ChatAdapter):
        def format_system_message(self, signature: Any) -> str:
            return "mine"

    mine = Mine()
    assert thrifty_adapter(mine) is mine
    patched = dspy.ChatAdapter()
    vars(patched)["format_system_message"] = lambda _signature: "patched"
    assert thrifty_adapter(patched) is patched


def test_the_placement_in_the_system_message_stands_on_it() -> None:
    inputs = {"memory": "Grey means rain.", "rain": 1.0, "wet": True, "n": 2, "sky": "grey"}
    expected = rendered(memory_in_system(dspy.ChatAdapter()), TASK, inputs, [])
    assert rendered(memory_in_system(thrifty_adapter(dspy.ChatAdapter())), TASK, inputs, []) == expected


def test_within_it_a_second_one_changes_nothing() -> None:
    with thrifty():
        outer = dspy.settings.adapter
        with thrifty():
            assert dspy.settings.adapter is outer
    assert dspy.settings.adapter is not outer
