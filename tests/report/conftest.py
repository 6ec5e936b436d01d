"""A browser for the tests of the page; where there is none, they are skipped, and said so loudly."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnprog.trace import Feedback, StepRecord, Trace, Update, Usage, Verdict

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None or importlib.util.find_spec("playwright") is None:
        missing = (
            "no Chromium (apt-get install chromium)" if found is None else "no playwright (pip install playwright)"
        )
        warnings.warn(f"THE PAGE OF THE REPORT IS NOT TESTED: {missing}", stacklevel=1)
        pytest.skip(f"the page of the report is not tested: {missing}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page from disk; afterwards, nothing may have gone to the console or the network."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_(path: Path, *, script: str = "", plain: bool = False, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on(
            "console", lambda m: complaints.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda r: (
                complaints.append(f"request: {r.url}")
                if r.url != path.as_uri() and not r.url.startswith("data:")
                else None
            ),
        )
        page.goto(path.as_uri())
        if not plain:  # a page that runs no script is there at once
            page.wait_for_selector("html[data-ready]", state="attached")
            page.wait_for_selector("#detail h2")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def small_trace() -> Trace:
    """Four steps worked out by hand: right, wrong, failed, right; the third rewrite is refused."""
    memories = [_memory(), _memory("a"), _memory("a", "b"), _memory("b", "c")]

    def usage(prompt: int) -> dict[str, Usage]:
        return {"predictor": Usage(calls=1, prompt_tokens=prompt, completion_tokens=10)}

    def update(t: int, of: int, old: int, new: int, **more: Any) -> Update:
        return Update(
            of=f"p{of}",
            operation="rewrite",
            parent=f"m{old}",
            digest=f"m{new}",
            carry=memories[new],
            tokens=10 * (new + 1),
            feedback=Feedback(kind="label", text=f"evidence {t}"),
            usage={"rewriter": Usage(calls=1, prompt_tokens=50, completion_tokens=5)},
            **more,
        )

    def record(t: int, said: str | None, true: str, **more: Any) -> StepRecord:
        prediction = None if said is None else {"y": said}
        return StepRecord(
            t=t, id=f"p{t}", inputs={"x": t}, prediction=prediction, target={"y": true}, usage=usage(100 + t), **more
        )

    refused = (Verdict(check="elision", decision="kept_old", reason="placeholder"),)
    return Trace(
        sequence="s",
        program={"cell": "reflective", "budget": 64},
        initial=memories[0],
        initial_digest="m0",
        records=(
            record(0, "sun", "sun", after=(update(0, 0, 0, 1),)),
            record(1, "sun", "rain", after=(update(1, 1, 1, 2, dropped=(("rules", "z"),)),)),
            record(2, None, "sun", after=(update(2, 2, 2, 2, verdicts=refused),)),
            record(3, "sun", "sun", before=(update(3, 1, 2, 3),)),
        ),
    )


def _memory(*items: str) -> dict[str, Any]:
    return {"sections": [{"key": "rules", "title": "Rules", "items": list(items)}]}
