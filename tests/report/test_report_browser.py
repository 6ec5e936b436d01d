"""The page in a browser: it loads without complaint, filters, opens steps, obeys the keyboard, and stays closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnprog.exam_result import ExamResult
from rnnprog.report import blocks, build, build_walk
from rnnprog.report.arms import arm_rows
from rnnprog.report.columns import FLAGS, columns_of
from rnnprog.report.sample import sample_exam, sample_trace
from rnnprog.report.verdict import headline
from rnnprog.trace import StepRecord, Trace

FORGED = '<script>document.title = "forged"</script><img src=x onerror=\'document.title = "forged"\'>'
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def exam() -> ExamResult:
    return sample_exam(sequences=6, steps=30, seeds=2)


@pytest.fixture(scope="module")
def page_file(exam: ExamResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(exam, tmp_path_factory.mktemp("page") / "page.html")


def count(page: Any) -> int:
    return int(page.inner_text("#filter-count").split(" of ")[0].replace(",", ""))


def wait_for_count(page: Any, wanted: int) -> None:
    page.wait_for_selector(f"#filter-count >> text=/^{wanted} of/")


def marked(exam: ExamResult, *names: str) -> int:
    mask = sum(FLAGS[name] for name in names)
    return int((columns_of(exam).flags & mask > 0).sum())


def heading(page: Any) -> str:
    return str(page.inner_text("#detail h2"))


def test_it_loads_with_every_chart(exam: ExamResult, page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    for chart, lines in (("learning", 5), ("lengths", 2)):
        assert page.locator(f"#{chart} path.line").count() == lines
    assert page.locator("#cost text.label").count() == 5
    assert page.locator("#timeline path.length").count() == 1
    assert page.inner_text(".headline") == headline(exam, arm_rows(exam, columns_of(exam)))
    assert heading(page) == "reflective · station-00 · step 29"
    assert page.locator(".row[aria-selected=true]").is_visible()


def test_it_opens_in_a_browser_that_cannot_decompress(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file, script="delete window.DecompressionStream; delete Uint8Array.fromBase64;")
    assert heading(page) == "reflective · station-00 · step 29"


def test_marks_filter_the_list(exam: ExamResult, page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    assert count(page) == exam.steps
    page.click("[data-flag=failed]")
    assert count(page) == marked(exam, "failed")
    page.click("[data-flag=failed]")
    page.click("[data-flag=guard]")
    assert count(page) == marked(exam, "repaired", "kept_old")
    page.click("button[type=reset]")
    assert count(page) == exam.steps


def test_arm_and_sequence_filter_the_list(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.select_option("#filter-arm", label="zero-shot")
    page.select_option("#filter-sequence", "station-03")
    assert count(page) == 60
    page.wait_for_selector("#detail h2:has-text('zero-shot · station-03')")


def test_search_finds_texts_in_every_block(exam: ExamResult, page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.fill("#filter-text", "sunny SPELLS")
    wait_for_count(page, marked(exam, "failed"))
    assert page.inner_text("#detail mark").lower() == "sunny spells"
    page.fill("#filter-text", "no such text anywhere")
    page.wait_for_selector("text=No step matches.")


def test_search_reads_a_step_as_it_is_shown(open_page: Open, small_trace: Trace, tmp_path: Path) -> None:
    """Quotation marks and line ends are found; what only the page's own notation holds is not."""
    inputs = {"report": 'he said "no"\nand left', "long": "aB" * 40_000, "İ": "x" * 5}
    records = (small_trace.records[0].model_copy(update={"inputs": inputs}), *small_trace.records[1:])
    page = open_page(build_walk([small_trace.model_copy(update={"records": records})], tmp_path / "page.html"))
    for words, count in (('said "NO"', 1), ("ab", 1), ('"p":', 0), ("report", 1), ("xxx", 1)):
        page.fill("#filter-text", words)
        wait_for_count(page, count)
        if count:
            page.wait_for_selector("#detail h2:has-text('step 0')")
            page.wait_for_selector("#detail mark")


def test_search_finds_the_step_that_wrote_a_line_of_memory(open_page: Open, small_trace: Trace, tmp_path: Path) -> None:
    memory = {"sections": [{"key": "rules", "title": "Rules", "items": ["b", "quokka"]}]}
    last = small_trace.records[3]
    update = last.before[0].model_copy(update={"carry": memory})
    records = (*small_trace.records[:3], last.model_copy(update={"before": (update,)}))
    page = open_page(build_walk([small_trace.model_copy(update={"records": records})], tmp_path / "page.html"))
    page.fill("#filter-text", "quokka")
    wait_for_count(page, 1)
    page.wait_for_selector("#detail h2:has-text('reflective · s · step 3')")


def test_a_step_shows_what_changed_in_the_memory(open_page: Open, small_trace: Trace, tmp_path: Path) -> None:
    page = open_page(build_walk([small_trace], tmp_path / "page.html"))
    assert page.locator("#detail .plus").all_inner_texts() == ["added:\nc"]
    assert page.locator("#detail .minus").all_inner_texts() == ["removed:\na"]
    assert "about step 1, which came late" in page.inner_text("#detail")
    page.keyboard.press("k")
    page.wait_for_selector("#detail h2:has-text('step 2')")
    assert "unchanged" in page.inner_text("#detail")
    assert "placeholder" in page.inner_text("#detail")


def test_keys_move_through_the_list(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.keyboard.press("g")
    page.wait_for_selector("#detail h2:has-text('step 0')")
    for _ in range(3):
        page.keyboard.press("j")
    page.wait_for_selector("#detail h2:has-text('step 3')")
    page.keyboard.press("k")
    page.wait_for_selector("#detail h2:has-text('step 2')")
    page.keyboard.press("n")
    assert page.locator(".row[aria-selected=true].wrong").count() == 1
    page.keyboard.press("G")
    page.wait_for_selector("#detail h2:has-text('always sun · station-05 · step 29')")
    page.keyboard.press("w")
    assert page.get_attribute("[data-flag=wrong]", "aria-pressed") == "true"


def test_slash_searches_and_letters_are_then_letters(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.keyboard.press("/")
    page.keyboard.type("wjk")
    assert page.input_value("#filter-text") == "wjk"
    assert page.get_attribute("[data-flag=wrong]", "aria-pressed") == "false"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"


def test_help_opens_and_closes(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_the_timeline_moves_with_arrows_and_clicks(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.focus("#timeline")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#detail h2:has-text('step 28')")
    assert page.get_attribute("#timeline", "aria-valuenow") == "28"
    box = page.locator("#timeline").bounding_box()
    page.locator("#timeline").click(position={"x": 52, "y": box["height"] / 2})
    page.wait_for_selector("#detail h2:has-text('step 0')")


def test_another_walk_is_chosen_by_arm_seed_and_sequence(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.select_option("#walk-sequence", label="station-04")
    page.select_option("#walk-arm", label="full history")
    page.select_option("#walk-seed", "1")
    page.wait_for_selector("#detail h2:has-text('full history · station-04')")
    assert page.inner_text("#walk-note").startswith("full history, station-04, seed 1: 30 steps")


def test_a_step_has_an_address(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.keyboard.press("g")
    page.wait_for_selector("#detail h2:has-text('step 0')")
    page.keyboard.press("j")
    page.wait_for_selector("#detail h2:has-text('step 1')")
    assert page.url.endswith("#step-1")
    page.reload()
    page.wait_for_selector("#detail h2:has-text('reflective · station-00 · step 1')")


def test_theme_follows_the_system_until_it_is_chosen(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"


def test_content_is_never_markup(open_page: Open, small_trace: Trace, tmp_path: Path) -> None:
    memory = {"sections": [{"key": "rules", "title": FORGED, "items": [FORGED]}]}
    record = small_trace.records[0]
    update = record.after[0].model_copy(update={"carry": memory, "critique": {FORGED: FORGED}, "operation": FORGED})
    changed = {"inputs": {FORGED: FORGED}, "prediction": {"y": FORGED}, "after": (update,)}
    trace = small_trace.model_copy(update={"sequence": FORGED, "records": (record.model_copy(update=changed),)})
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"id": record.id, "phase": FORGED, "prompt": FORGED, "completion": FORGED}))
    page = open_page(build_walk([trace], tmp_path / "page.html", label=FORGED, task=FORGED, prompts=prompts))
    page.keyboard.press("o")
    page.wait_for_selector("#prompts pre")
    page.hover("#timeline")
    assert page.title() == FORGED
    assert page.locator("main img").count() == 0
    assert page.inner_text("#prompts pre >> nth=0") == FORGED


def test_wild_numbers_are_drawn_without_a_complaint(open_page: Open, tmp_path: Path) -> None:
    pairs = [(1e300, 0.0), (-1e308, 1e308), (1.0, float("nan")), (2.0, 2.5), (3.0, 1e39)]
    records = [
        StepRecord(t=t, id=str(t), inputs={}, prediction={"y": said}, target={"y": true})
        for t, (said, true) in enumerate(pairs)
    ]
    page = open_page(build_walk([Trace(sequence="s", records=tuple(records))], tmp_path / "page.html"))
    assert page.locator("#values svg").count() == 1


def test_prompts_are_opened_on_demand(open_page: Open, small_trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    chat = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what now?"}]
    path.write_text(json.dumps({"id": "p3", "phase": "predictor", "prompt": chat, "completion": "sun"}))
    page = open_page(build_walk([small_trace], tmp_path / "page.html", prompts=path))
    assert page.locator("#prompts pre").count() == 0
    page.click("#prompts summary")
    page.wait_for_selector("#prompts pre")
    assert page.locator("#prompts pre").all_inner_texts() == ["be brief", "what now?", "sun"]
    page.keyboard.press("k")
    page.wait_for_selector("#detail h2:has-text('step 2')")
    assert page.locator("#prompts").count() == 0


def test_paper_and_narrow_screens(page_file: Path, open_page: Open, tmp_path: Path) -> None:
    page = open_page(page_file, viewport={"width": 380, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#settings dl").is_visible()
    assert not page.locator(".listing").is_visible()
    assert page.locator("#detail h2").is_visible()


def test_prompts_beyond_the_limit_are_said_to_be_left_out(
    open_page: Open, small_trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MOST_PROMPTS", 0)
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"id": "p3", "phase": "predictor", "prompt": "x", "completion": "sun"}))
    page = open_page(build_walk([small_trace], tmp_path / "page.html", prompts=path))
    page.click("#prompts summary")
    page.wait_for_selector("#prompts >> text=Left out of this page")


def test_a_long_list_holds_few_rows(open_page: Open, tmp_path: Path) -> None:
    page = open_page(build_walk([sample_trace(3000)], tmp_path / "page.html"))
    assert count(page) == 3000
    assert page.locator(".row").count() < 60
    page.keyboard.press("G")
    page.keyboard.press("p")
    assert page.locator(".row[aria-selected=true]").is_visible()
