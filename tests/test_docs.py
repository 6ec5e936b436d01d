"""The documents are true: README code runs, its commands exist, its numbers come out, the rooms are drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.S)


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_readme_code_runs_as_written(code: str, tmp_path: Path) -> None:
    """Blocks that name a provider run with the embedded model in its place."""
    code = re.sub(r"dspy\.LM\(\"[a-z_]+/[^)]*\)", "rnnprog.embedded_lm()", code)
    script = tmp_path / "block.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, env=_env(tmp_path))
    assert done.returncode == 0, done.stderr
    for expected in re.findall(r"# > (.*)", code):
        assert expected.strip() in done.stdout


def _env(tmp_path: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "DSPY_CACHEDIR": str(tmp_path / "cache")}


COMMANDS = re.findall(r"^rnnprog ((?:.*\\\n)*.*)$", README, flags=re.M)


@pytest.mark.parametrize("line", COMMANDS, ids=[line.split()[0] for line in COMMANDS])
def test_readme_commands_and_their_flags_exist(line: str) -> None:
    from typer.main import get_command

    from rnnprog.cli.app import app
    from rnnprog.cli.tune import app as tune

    name = line.split()[0]
    command: Any = get_command(tune) if name == "tune" else get_command(app).commands[name]  # type: ignore[attr-defined]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"(?<= )--[a-z-]+", line.partition("#")[0])) <= known


def test_readme_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`make ([a-z-]+)`", README)) | set(re.findall(r"^make ([a-z-]+)", README, flags=re.M))
    assert named
    assert named <= targets


def test_architecture_draws_every_room() -> None:
    drawn = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {
        path.stem for path in (ROOT / "rnnprog").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    missing = sorted(room for room in rooms - {"__init__"} if f"{room}" not in drawn)
    assert not missing, f"ARCHITECTURE.md says nothing of {missing}"


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_relative_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), f"{name} links to {target}"
