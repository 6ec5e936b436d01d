"""The report of 100,000 steps: built from its files in under 20 s, usable in a browser in under 2 s.

    python -m benchmarks.report_speed [--steps 100000]

Every arm but the floors rewrites a memory at each step. Processor seconds stand beside wall seconds, because a busy
machine stretches only the latter.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.verdicts import verdict
from rnnprog.exam_result import ExamResult, write_exam
from rnnprog.report import build
from rnnprog.report.sample import sample_exam

BUILD_LIMIT, OPEN_LIMIT = 20.0, 2.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
READY = """() => new Promise((resolve) => {
  const look = () => (document.documentElement.dataset.ready && document.querySelector("#detail h2")
    ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 5));
  look();
})"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="recorded steps in the page")
    steps = parser.parse_args(arguments).steps
    with tempfile.TemporaryDirectory() as folder:
        exam = remembering(steps)
        path = write_exam(exam, Path(folder) / "exam")
        size = sum(file.stat().st_size for file in path.parent.rglob("*.*")) / 1e6
        print(f"{exam.steps:,} steps, {size:.0f} MB on disk")
        del exam
        with clock("report of 100,000 steps built", BUILD_LIMIT):
            page = build(path, Path(folder) / "page.html")
        print(f"page of {page.stat().st_size / 1e6:.1f} MB")
        return in_browser(page)


def remembering(steps: int) -> ExamResult:
    """Return the sample exam with as many steps, all of them in arms that write a memory."""
    exam = sample_exam(sequences=1, steps=1, seeds=1)
    length = 100
    many = sample_exam(sequences=max(steps // (4 * length), 1), steps=length, seeds=2)
    keep = [arm for arm in many.arms if arm.label.startswith("reflective")]
    return exam.model_copy(update={"arms": tuple(keep), "comparisons": ()})


@contextmanager
def clock(what: str, limit: float) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what}: {wall:.1f} s wall, {processor:.1f} s processor")
    verdict(what, wall, limit, "s")


def in_browser(page: Path) -> int:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        print("NOT MEASURED in a browser: Chromium or playwright is missing")
        return 1
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=flags)
        tab = chromium.new_page(viewport={"width": 1360, "height": 900})
        tab.set_default_timeout(120_000)
        ready = []
        for _ in range(3):
            tab.goto(page.as_uri())
            ready.append(tab.evaluate(READY) / 1000)
        best = min(ready)
        verdict("its page interactive, best of 3", best, OPEN_LIMIT, "s")
        acts: tuple[tuple[str, Callable[[], None], str], ...] = (
            ("filter by a mark", lambda: tab.click("[data-flag=wrong]"), "[data-flag=wrong][aria-pressed=true]"),
            ("jump to the last step", lambda: tab.keyboard.press("G"), ".row[aria-selected=true]"),
            ("search all texts", lambda: tab.fill("#filter-text", "no such text"), "text=No step matches."),
        )
        for what, act, done in acts:
            begin = time.perf_counter()
            act()
            tab.wait_for_selector(done)
            print(f"{what}: {time.perf_counter() - begin:.2f} s")
        chromium.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
