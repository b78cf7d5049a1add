"""What `python -m alignment export` writes beside the weights, what it refuses, and what it uploads."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_home import tiny_home
from helpers.toy_models import FAMILIES, make
from helpers.toy_versions import with_adapter, with_other_weights
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from alignment.__main__ import main
from alignment.export import destinations
from alignment.export.modelfile import modelfile
from assistant.bases.base_source import identify_base
from assistant.bases.gguf_file import GgufFile
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.loading import load_base


def export(home: Path, *flags: str) -> int:
    return main(["export", "v1", "--home", str(home), *flags])


@pytest.mark.parametrize("kind", ["peft", "merged", "gguf"])
def test_the_card_says_how_the_version_was_made_and_names_no_place(home: Path, kind: str) -> None:
    assert export(tiny_home(home), "--format", kind) == 0
    card = (home / "exports" / f"v1-{kind}" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "# tiny-v1\n" in card and "- v1: brought in from elsewhere" in card
    for path in (home / "exports" / f"v1-{kind}").iterdir():
        assert str(home).encode() not in path.read_bytes(), path.name


def test_a_folder_that_is_there_already_is_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tiny_home(home) / "mine"
    out.mkdir()
    assert export(home, "--format", "peft", "--out", str(out)) == 2
    assert f"{out} is there already. Name another folder with --out" in capsys.readouterr().err
    assert not list(out.iterdir())


def test_a_failed_export_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("alignment.export.merged_folder.write_tensors", full)
    assert export(tiny_home(home), "--format", "merged") == 2
    assert "the disk is full. Make room" in capsys.readouterr().err
    assert not list((home / "exports").iterdir())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            "--format gguf --quantize q2_k",
            "q2_k is no rounding that is made here. Give --quantize q8_0, q5_1",
        ),
        ("--format merged --quantize q8_0", "are for --format gguf"),
        ("--format gguf --quantize q8_0 --dtype f16", "exclude each other"),
        ("--format peft --dtype f16", "an adapter stays as it is"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str], flags: str, words: str
) -> None:
    assert export(tiny_home(home), *flags.split()) == 2
    assert words in capsys.readouterr().err
    assert not (home / "exports").exists()


def test_a_version_without_adapter_has_none_to_export(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tiny_home(home, adapter=False), "--format", "peft") == 2
    assert "v1 has no adapter: it is a whole model. Export it with --format merged" in capsys.readouterr().err
    assert export(home, "--format", "merged") == 0
    merged, base = (
        load_file(folder / "model.safetensors") for folder in (home / "exports" / "v1-merged", home / "tiny")
    )
    assert all((merged[name] == base[name]).all() for name in base)


@pytest.mark.parametrize("family", ["smollm2", "qwen2.5", "qwen3", "gemma3"])
@pytest.mark.parametrize(
    ("bits", "kind"), [("f32", "F32"), ("bf16", "BF16"), ("q8_0", "Q8_0"), ("q4_0", "Q4_0")]
)
def test_a_gguf_file_holds_the_weights_in_the_bits_that_were_asked_for(
    home: Path, family: str, bits: str, kind: str
) -> None:
    make(family, home / "toy", hidden_size=64)
    version_to_serve(home, "toy")
    assert export(home, "--format", "gguf", "--quantize" if bits[0] == "q" else "--dtype", bits) == 0
    (file,) = (home / "exports").glob("*/*.gguf")
    model = GgufFile.read(file)
    assert file.name == f"toy-v1-{kind}.gguf"
    assert model.tensors["blk.1.ffn_up.weight"].kind.name == kind
    assert model.tensors["token_embd.weight"].kind.name == ("Q8_0" if bits[0] == "q" else kind)
    assert model.tensors["output_norm.weight"].kind.name == "F32"
    assert model.metadata["tokenizer.chat_template"] == FAMILIES[family].template
    tokenizer = AutoTokenizer.from_pretrained(home / "toy")
    tokens = model.metadata["tokenizer.ggml.tokens"]
    assert tokens == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert model.metadata["tokenizer.ggml.eos_token_id"] == tokenizer.eos_token_id


@pytest.mark.parametrize("family", ["llama3.2", "gemma3"])
def test_a_gguf_file_is_the_base_with_its_adapter(home: Path, family: str) -> None:
    model = with_other_weights(family, home / "toy")
    expected, version = with_adapter(model, version_to_serve(home, "toy"), Versions(home))
    flags = ["--home", str(home), "--format", "gguf", "--dtype", "f32"]
    assert main(["export", version.id, *flags]) == 0
    (file,) = (home / "exports").glob("*/*.gguf")
    ids = torch.tensor([range(3, 150)])
    with torch.no_grad():
        found = load_base(identify_base(str(file), home), home, torch.float32).model(ids).logits
        torch.testing.assert_close(found, expected(input_ids=ids).logits, atol=1e-3, rtol=1e-3)


def test_a_tokenizer_that_llama_cpp_does_not_have_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make("qwen3", home / "toy") / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pre_tokenizer"] = {"type": "Whitespace"}
    path.write_text(json.dumps(content), encoding="utf-8")
    version_to_serve(home, "toy")
    assert export(home, "--format", "gguf") == 2
    assert "tokenizer is none that is written to GGUF here" in capsys.readouterr().err
    assert not list((home / "exports").iterdir())


def test_the_modelfile_writes_turns_as_the_models_template_does(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.read(make("qwen3", tmp_path))
    text = modelfile("m.gguf", tokenizer, [tokenizer.eos_token_id or 0], 256, {"temperature": 0.3})
    assert text == (
        "FROM ./m.gguf\n"
        'TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}'
        "<|im_start|>assistant\n"
        '{{ if and $.IsThinkSet (not $.Think) }}<think>\n\n</think>\n\n{{ end }}"""\n'
        'PARAMETER stop "<|im_end|>"\nPARAMETER num_ctx 256\nPARAMETER temperature 0.3\n'
    )


def test_the_modelfile_gives_the_system_message_that_the_template_adds(tmp_path: Path) -> None:
    folder = make("smollm2", tmp_path)
    default = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind<|im_end|>\n{% endif %}"
    template = folder / "chat_template.jinja"
    template.write_text(default + template.read_text(encoding="utf-8"), encoding="utf-8")
    assert '\nSYSTEM """Be kind"""\n' in modelfile("m.gguf", ChatTokenizer.read(folder), [], 256, {})


def test_the_modelfile_leaves_an_unusual_template_to_ollama(tmp_path: Path) -> None:
    text = modelfile("m.gguf", ChatTokenizer.read(make("gemma3", tmp_path)), [], 256, {})
    assert 'TEMPLATE "' not in text and "SYSTEM" not in text


class FakeHub:
    """The Hub's client as far as a push uses it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def create_repo(self, repository: str, **options: Any) -> None:
        self.calls.append({"repository": repository, **options})

    def upload_folder(self, **options: Any) -> SimpleNamespace:
        self.calls.append(options)
        return SimpleNamespace(commit_url=f"hub/{options['repo_id']}/commit")


def test_a_push_uploads_the_folder_to_a_private_repository(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = FakeHub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    assert export(tiny_home(home), "--format", "peft", "--push", "ann/tiny") == 0
    assert hub.calls[0] == {"repository": "ann/tiny", "private": True, "exist_ok": True}
    assert hub.calls[1]["folder_path"] == home / "exports" / "v1-peft"
    assert capsys.readouterr().out.endswith("v1 uploaded: hub/ann/tiny/commit\n")


def test_a_push_that_fails_keeps_the_folder_and_says_how_to_go_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tiny_home(home), "--format", "peft", "--push", "ann/tiny") == 2
    assert "The folder is whole: push it again" in capsys.readouterr().err
    assert (home / "exports" / "v1-peft" / "adapter_config.json").exists()


def test_the_default_model_keeps_the_name_that_it_has_on_the_hub(home: Path) -> None:
    from assistant.bases.base import Base

    assert destinations.hub_base(Base("smollm2", "")) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert destinations.hub_file(Base("a/b:c.gguf", "")) == ("a/b", "c.gguf")
    assert destinations.hub_base(Base("Qwen/Qwen3-0.6B", "")) == "Qwen/Qwen3-0.6B"
    assert destinations.hub_base(Base("starter", "")) is None
