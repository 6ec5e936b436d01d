"""The notebook runs from top to bottom and its story holds."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_latent_memory.ipynb"


@pytest.mark.slow
def test_the_notebook_tells_its_story() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(NOTEBOOK.parents[1])}}).execute()
    printed = [
        "".join(output.get("text", "") for output in cell.get("outputs", []))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    text = "\n".join(printed)

    def numbers(pattern: str) -> list[float]:
        return [float(found) for found in re.findall(pattern, text)]

    claimed = re.findall(r"zero bank +([\d.]+) %  own bank +([\d.]+) %", text)
    assert len(claimed) == 6
    assert all(float(zero) < 2 for zero, _ in claimed)
    assert sum(float(own) > 2 for _, own in claimed) >= 5, "the claim: nothing with a zero bank, something with the own"
    published, foreign = numbers(r"own bank +([\d.]+) %  foreign"), numbers(r"foreign bank +([\d.]+) %")
    gains = re.findall(r"gain +([+-][\d.]+) ± ([\d.]+)", text)
    assert len(published) == len(foreign) == len(gains) == 6
    assert sum(foreign) > 0.6 * sum(published), "most of the published score is guessing"
    assert sum(float(gain) <= 2.5 * float(error) for gain, error in gains) >= 3, "the control empties most rows"
    clamped, free = numbers(r"has left ([\d.e-]+) % of")
    assert clamped < 5 < 20 < free
    own, other = numbers(r"own +([\d.]+) %  other"), numbers(r"other +([\d.]+) %  ")
    assert len(own) == len(other) == 4
    assert own[1] > own[0] + 5, "a larger ring recalls more"
    assert own[3] > own[2] + 5, "a larger matrix recalls more"
    assert own[1] > 2 * other[1]
    assert own[3] > 2 * other[3]
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
