"""An installation of requirements.txt alone: it serves by llama.cpp, and says what to install for anything else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from helpers.running_app import ROOT, running_app

from assistant.bases.base import STARTER_FOLDER
from assistant.engine_choice import engine_for
from assistant.errors import ModelError, PackagesMissing
from assistant.missing_packages import TRAINING
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.settings import from_command_line

BLOCK = f"import sys; sys.modules.update(dict.fromkeys({(*TRAINING, 'bitsandbytes', 'safetensors')}))\n"
"""Python imports nothing whose entry among the modules is None, and finds no such package either."""


def test_the_app_answers_without_model_libraries(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python runs this module when it starts.
    (tmp_path / "sitecustomize.py").write_text(BLOCK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "What is 3 + 4?"}]}
    with running_app(home, "--model", "starter", is_warm=False) as address:
        answer = httpx.post(f"{address}/v1/chat/completions", json=body | {"temperature": 0}, timeout=60)
        assert "7" in answer.raise_for_status().json()["choices"][0]["message"]["content"]
        assert "Thumbtune" in httpx.get(address, timeout=60).text


@pytest.mark.parametrize("flags", ["--engine transformers", "--quantize 4bit", "--device cuda"])
def test_what_only_transformers_does_names_the_file_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch, flags: str
) -> None:
    for name in ("torch", "peft"):
        monkeypatch.setitem(sys.modules, name, None)
    settings = from_command_line(["--home", str(home), *flags.split()])
    with pytest.raises(PackagesMissing, match=r"not installed here: torch, peft\..*requirements-gpu\.txt"):
        engine_for(settings, Versions(home), version_to_serve(home, "starter"))


def test_alignment_releases_without_training_packages_and_names_the_file_for_the_rest(home: Path) -> None:
    version_to_serve(home, "starter")
    commands = ("versions", "trial status", "release v1", "kto", "cycle", "evaluate v1")
    code = f"{BLOCK}from alignment.__main__ import main\n" + "".join(
        f"print(main({['--log-format', 'json', *command.split(), '--home', str(home)]}))\n"
        for command in commands
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    codes = [line for line in done.stdout.splitlines() if line in ("0", "2")]
    assert codes == ["0", "0", "0", "2", "2", "2"]
    errors = [json.loads(line)["params"]["text"] for line in done.stdout.splitlines() if '"error"' in line]
    assert len(errors) == 3
    assert all("torch" in error and "`pip install -r requirements-train.txt`" in error for error in errors)


def test_a_base_that_llama_cpp_cannot_convert_names_the_file_to_install(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shutil.copytree(STARTER_FOLDER / "base", tmp_path / "base")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"architectures": ["GPT2LMHeadModel"]}))
    monkeypatch.setitem(sys.modules, "torch", None)
    settings = from_command_line(["--home", str(home)])
    with pytest.raises(ModelError, match=r"GPT2LMHeadModel is not .*requirements-gpu\.txt"):
        engine_for(settings, Versions(home), version_to_serve(home, str(base)))
