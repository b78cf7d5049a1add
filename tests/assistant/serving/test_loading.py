"""Any small causal model: each family's template, end tokens and padding, at toy size."""

import importlib.util
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.toy_models import FAMILIES, make

from assistant.bases.base import Base, folder_hash
from assistant.chat.stop_strings import model_stops
from assistant.errors import ModelError, QuantizeError, VersionError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving import loading as model_module
from assistant.serving import prompt
from assistant.serving.bitsandbytes_compat import quantization
from assistant.serving.loading import Placement, device_of, dtype_for, end_tokens, load_for_serving
from assistant.serving.transformers_engine import TransformersEngine

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "Three?"},
]
NAMES = list(FAMILIES)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("toys")
    return {name: make(name, folder / name) for name in NAMES}


def loaded(toys: dict[str, Path], name: str, home: Path) -> Any:
    return load_for_serving(version_to_serve(home, str(toys[name])), home, Placement(device="cpu"))


def written(tokenizer: Any, messages: list[dict[str, str]], think: bool = False) -> str:
    return str(tokenizer.decode(prompt.render(tokenizer, messages, think)))


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("qwen3", "smollm2", "gemma3") else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
    ],
)
async def test_the_engine_writes_what_generate_writes(toys: dict[str, Path], name: str, home: Path) -> None:
    alone = loaded(toys, name, home)
    ids = prompt.render(alone.tokenizer, TALK, think=False)
    expected = alone.model.generate(
        torch.tensor([ids]),
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=end_tokens(alone.model, alone.tokenizer),
        pad_token_id=0,
    )[0, len(ids) :].tolist()
    versions = Versions(home)
    engine = TransformersEngine(versions, versions.open("v1"), Placement(device="cpu"))
    try:
        with engine.lease() as served:
            stream = served.stream(ids, Sampling(temperature=0.0, max_new_tokens=12))
            assert [token async for chunk in stream for token in chunk.token_ids] == expected
    finally:
        engine.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_message_of_a_conversation_reaches_the_model_in_order(
    toys: dict[str, Path], name: str, home: Path
) -> None:
    text = written(loaded(toys, name, home).tokenizer, TALK)
    positions = [text.index(turn["content"]) for turn in TALK]
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", NAMES)
def test_end_tokens_and_padding_are_not_text(toys: dict[str, Path], name: str, home: Path) -> None:
    ready = loaded(toys, name, home)
    assert ready.tokenizer.pad_token_id is not None
    assert ready.tokenizer.convert_tokens_to_ids(FAMILIES[name].end) in end_tokens(
        ready.model, ready.tokenizer
    )
    ids = ready.tokenizer("fine", add_special_tokens=False).input_ids
    assert (
        prompt.decode(
            ready.tokenizer, [*ids, *end_tokens(ready.model, ready.tokenizer), ready.tokenizer.pad_token_id]
        )
        == "fine"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_message_can_end_its_turn(toys: dict[str, Path], name: str, home: Path) -> None:
    tokenizer = loaded(toys, name, home).tokenizer
    plain = prompt.render(tokenizer, [{"role": "user", "content": "x"}], think=False)
    typed = " ".join(FAMILIES[name].specials)
    attacked = prompt.render(tokenizer, [{"role": "user", "content": typed}], think=False)
    special = set(tokenizer.all_special_ids) | {
        tokenizer.convert_tokens_to_ids(token) for token in FAMILIES[name].specials
    }
    assert [token for token in attacked if token in special] == [token for token in plain if token in special]


def test_a_models_own_thinking_switch_is_used_and_otherwise_an_instruction(
    toys: dict[str, Path], tmp_path: Path
) -> None:
    for name in NAMES:
        tokenizer = loaded(toys, name, tmp_path / name).tokenizer
        thinks, answers = (written(tokenizer, TALK, think) for think in (True, False))
        native = name in ("qwen3", "smollm3")
        assert prompt.has_thinking_switch(tokenizer) is native
        assert ("step by step" in thinks) is not native
        assert answers.endswith("<think>\n\n</think>\n\n") is native


def test_a_template_without_a_system_role_gets_its_text_in_the_first_message(
    toys: dict[str, Path], home: Path
) -> None:
    tokenizer = loaded(toys, "gemma3", home).tokenizer
    text = written(tokenizer, TALK)
    assert "<start_of_turn>user\nBe brief.\n\nOne?<end_of_turn>\n<start_of_turn>model\nTwo." in text
    twice = [{"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}]
    assert "<start_of_turn>user\nOne?\n\nTwo?<end_of_turn>" in written(tokenizer, twice)
    greeting = [{"role": "assistant", "content": "Hi"}, TALK[1]]
    assert "<start_of_turn>model\nHi<end_of_turn>\n<start_of_turn>user\nOne?" in written(tokenizer, greeting)


def test_runs_of_spaces_and_lines_that_are_tokens_stay_as_written(toys: dict[str, Path], home: Path) -> None:
    text = "one\n\ntwo    three"
    assert text in written(loaded(toys, "gemma3", home).tokenizer, [{"role": "user", "content": text}])


def test_a_model_without_a_template_stops_before_the_next_user_message(
    toys: dict[str, Path], home: Path
) -> None:
    tokenizer = loaded(toys, "base", home).tokenizer
    assert model_stops(tokenizer) == ("\nUser:",)
    assert written(tokenizer, TALK).endswith("User: Three?\nAssistant:")


def test_the_window_comes_from_the_configuration(toys: dict[str, Path], tmp_path: Path) -> None:
    assert {loaded(toys, name, tmp_path / name).window for name in ("qwen3", "gemma3")} == {256}


# Devices and number types


@pytest.mark.parametrize(
    ("device", "bf16", "expected"),
    [
        ("cpu", False, torch.float32),
        ("mps", False, torch.float16),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),
    ],
)
def test_the_number_type_suits_the_device(
    device: str, bf16: bool, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    assert dtype_for(device) is expected
    assert dtype_for(device, "fp32") is torch.float32


def test_the_fastest_device_is_chosen_and_a_missing_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of(Placement()) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(Placement()) == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_of(Placement()) == "mps"
    with pytest.raises(ModelError, match=r"no cuda.*--device cpu"):
        device_of(Placement(device="cuda"))


def test_a_model_is_loaded_in_the_requested_number_type(toys: dict[str, Path], home: Path) -> None:
    version = version_to_serve(home, str(toys["qwen3"]))
    ready = load_for_serving(version, home, Placement(device="cpu", dtype="bf16"))
    assert ready.model.dtype is torch.bfloat16


# Adapters


def adapter_on(version: Version, home: Path) -> Version:
    """A version with a LoRA adapter on the same base; its output changes with it."""
    from peft import LoraConfig, get_peft_model

    base = load_for_serving(version, home, Placement(device="cpu")).model
    torch.manual_seed(1)
    tuned = get_peft_model(
        base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    versions = Versions(home)
    with versions.staging() as folder:
        tuned.save_pretrained(folder)
        manifest = model_module.Version(version.manifest, folder).manifest
        made = {**vars(manifest), "id": "v2", "adapter": True, "parent": "v1"}
        return versions.add(type(manifest)(**made), folder)


def logits(ready: Any) -> torch.Tensor:
    with torch.inference_mode():
        return ready.model(torch.tensor([[1, 2, 3]])).logits


def test_an_adapter_is_applied_and_refused_on_another_base(
    toys: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    bare = version_to_serve(home, str(toys["qwen3"]))
    tuned = adapter_on(bare, home)
    cpu = Placement(device="cpu")
    assert not torch.allclose(
        logits(load_for_serving(tuned, home, cpu)), logits(load_for_serving(bare, home, cpu))
    )
    for other in ("qwen2.5", "phi"):
        base = Base(str(toys[other]), folder_hash(toys[other]))
        moved = Version(type(tuned.manifest)(**{**vars(tuned.manifest), "base": base}), tuned.folder)
        with pytest.raises(
            VersionError, match=r"adapter of v2 does not fit.*Release a version made on this base"
        ):
            load_for_serving(moved, home, cpu)
    changed = tmp_path / "changed"
    shutil.copytree(toys["qwen3"], changed)
    shutil.copy(toys["smollm2"] / "model.safetensors", changed / "model.safetensors")
    base = Base(str(changed), tuned.manifest.base.revision)
    moved = Version(type(tuned.manifest)(**{**vars(tuned.manifest), "base": base}), tuned.folder)
    with pytest.raises(ModelError, match="its weights differ"):
        load_for_serving(moved, home, cpu)


def test_a_model_that_does_not_say_its_window_is_refused(toys: dict[str, Path], home: Path) -> None:
    class Config:
        def get_text_config(self) -> object:
            return object()

    with pytest.raises(ModelError, match="max_position_embeddings"):
        model_module.window_of(Config(), "odd")


# Fewer bits


def test_without_bitsandbytes_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(QuantizeError, match=r"pip install -r requirements-gpu\.txt"):
        quantization("4bit", torch.float32)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_a_quantized_model_takes_less_memory_and_answers_nearly_the_same(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, bits: Any
) -> None:
    # Wide enough for the blocks of 64 weights that share a scale.
    wide = make("qwen3", tmp_path / "wide", hidden_size=128, intermediate_size=256, head_dim=32)
    tuned = adapter_on(version_to_serve(home, str(wide)), home)
    whole = load_for_serving(tuned, home, Placement(device="cpu"))
    with caplog.at_level(logging.INFO):
        small = load_for_serving(tuned, home, Placement(device="cpu", quantize=bits))
        near = logits(small).float()
    assert small.model.get_memory_footprint() < whole.model.get_memory_footprint()
    similar = torch.nn.functional.cosine_similarity(near.flatten(), logits(whole).flatten(), dim=0)
    assert similar > 0.9
    assert "MatMul8bitLt" not in caplog.text


def test_no_toy_model_contains_code(toys: dict[str, Path]) -> None:
    for folder in toys.values():
        assert {file.suffix for file in folder.iterdir()} <= {".json", ".safetensors", ".jinja"}
        assert "auto_map" not in json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(("usable", "threads"), [(1, 1), (64, 2)])
def test_threads_are_no_more_than_the_cores_of_the_process(
    monkeypatch: pytest.MonkeyPatch, usable: int, threads: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(model_module, "usable_cores", lambda: usable)
    try:
        torch.set_num_threads(2)
        model_module.bound_threads()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
