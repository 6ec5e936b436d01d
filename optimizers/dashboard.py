"""What optuna-dashboard shows besides numbers: notes with the prompts in words, and the candidates as files."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import optuna

from rnnprog.folder import unwritable
from rnnprog.memory import Memory
from rnnprog.optimizers.candidate import Candidate
from rnnprog.optimizers.space import Space

__all__ = ["annotate_study", "annotate_trial", "told"]

_ARTIFACTS = "artifacts"


def annotate_study(study: optuna.Study, space: Space, metric: str) -> None:
    """Give the study a note, if optuna-dashboard is installed."""
    lines = [f"# {study.study_name}", "", f"Maximises {metric}. What may change:", ""]
    lines += [f"- `{name}`" for name in space.names]
    _note(study, "\n".join(lines))


def annotate_trial(trial: optuna.Trial, candidate: Candidate, folder: Path | None) -> None:
    """Give a running trial a note with its prompts, and its candidate as a file in ``folder``."""
    _note(trial, told(candidate))
    if folder is None:
        return
    try:
        _keep(trial, candidate, folder / _ARTIFACTS)
    except OSError as error:  # the candidate stands in the study as well
        warnings.warn(f"no file for the candidate of trial {trial.number}: {unwritable(error, folder)}", stacklevel=2)


def _keep(trial: optuna.Trial, candidate: Candidate, store_folder: Path) -> None:
    store_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, f"candidate-{trial.number}.json")
        data = candidate.model_dump(mode="json")
        file.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8", errors="replace")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optuna.artifacts.upload_artifact(
                artifact_store=optuna.artifacts.FileSystemArtifactStore(str(store_folder)),
                file_path=str(file),
                study_or_trial=trial,
            )


def told(candidate: Candidate) -> str:
    """Return a candidate in words, as Markdown."""
    lines: list[str] = []
    for phase, text in candidate.instructions.items():
        lines += [f"## {phase}", "", text, ""]
    for phase, demos in candidate.demos.items():
        lines += [f"{phase}: {len(demos)} worked examples", ""]
    if candidate.start_memory is not None:
        given = candidate.start_memory
        shown = given if isinstance(given, str) else Memory.model_validate(given).render()
        lines += ["## start memory", "", "```", shown, "```", ""]
    rest: dict[str, Any] = {**candidate.settings, **candidate.temperatures, **candidate.models}
    lines += [f"- {name}: `{json.dumps(value)}`" for name, value in rest.items()]
    return "\n".join(lines) or "The student as it is."


def _note(target: optuna.Study | optuna.Trial, text: str) -> None:
    try:
        from optuna_dashboard import save_note
    except ImportError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_note(target, text)
