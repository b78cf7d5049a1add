"""A base in a GGUF file: what is read of it, and that it is the model that was converted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, quants
from helpers.gguf_models import write_gguf
from helpers.toy_models import make
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant.bases.base import Base
from assistant.bases.base_source import checked_source, fetched_folder, identify_base, origin_of
from assistant.bases.gguf_file import GgufFile
from assistant.errors import ModelError
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.loading import load_base, load_tokenizer
from feedback_store.hashing import sha256_file

FAMILIES = ("smollm2", "llama3.2", "qwen2.5", "qwen3", "gemma3", "smollm3")
TEXT = "<|im_start|>user\nDon't sum 12 + 345?\r\n\n  什么是 naïve 👍\t<|im_end|>"


@pytest.fixture(scope="module", params=FAMILIES)
def toy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(request.param, tmp_path_factory.mktemp("toy"))


def _converted(toy: Path, home: Path, **options: Any) -> Base:
    home.mkdir(parents=True, exist_ok=True)
    write_gguf(toy, home / "toy.gguf", **options)
    return identify_base("toy.gguf", home)


def test_a_base_read_from_gguf_has_the_logits_of_the_model_that_was_converted(toy: Path, home: Path) -> None:
    base = _converted(toy, home)
    ids = torch.tensor([AutoTokenizer.from_pretrained(toy)(TEXT)["input_ids"]])
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(toy, dtype=torch.float32)(ids).logits
        torch.testing.assert_close(load_base(base, home, torch.float32).model(ids).logits, expected)


def test_its_tokenizer_gives_the_same_tokens_prompts_and_texts(toy: Path, home: Path) -> None:
    base = _converted(toy, home)
    expected, messages = AutoTokenizer.from_pretrained(toy), [{"role": "user", "content": "Hi?"}]
    for tokenizer in (
        load_tokenizer(base, home),
        ChatTokenizer.read(fetched_folder(base, home, weights=False)),
    ):
        ids = tokenizer(TEXT).input_ids
        assert ids == expected(TEXT)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == expected.decode(
            ids, skip_special_tokens=True
        )
        assert tokenizer.eos_token_id == expected.eos_token_id
        prompts = [
            one.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            for one in (tokenizer, expected)
        ]
        assert prompts[0] == prompts[1]


def test_weights_of_fewer_bits_are_trained_as_the_float16_numbers_that_are_served(home: Path) -> None:
    toy = make("smollm2", home / "toy")
    base = _converted(toy, home, bits=GGMLQuantizationType.Q8_0)
    folder, _ = checked_source(base, home)
    name = "model.layers.1.mlp.up_proj.weight"
    original, read = (load_file(place / "model.safetensors")[name] for place in (toy, Path(folder)))
    kind = GGMLQuantizationType.Q8_0
    assert str(read.dtype) == "float16"
    assert (read == quants.dequantize(quants.quantize(original, kind), kind).astype("float16")).all()


def test_weights_are_unpacked_only_when_a_stage_trains_them(home: Path) -> None:
    base = _converted(make("smollm2", home / "toy"), home)
    folder = fetched_folder(base, home, weights=False)
    assert (folder / "config.json").exists() and not (folder / "model.safetensors").exists()
    assert fetched_folder(base, home) == folder
    assert (folder / "model.safetensors").exists()


def test_the_revision_of_a_gguf_base_is_the_hash_of_its_file(home: Path, tmp_path: Path) -> None:
    base = _converted(make("smollm2", home / "toy"), home)
    assert base == Base("toy.gguf", sha256_file(home / "toy.gguf"))
    elsewhere = (home / "toy.gguf").rename(tmp_path / "Other-1B.gguf")
    assert identify_base(str(elsewhere), home) == Base(str(elsewhere), base.revision)
    assert origin_of(str(elsewhere), home) == f"from {elsewhere}"


def test_another_file_than_the_recorded_one_is_refused(home: Path) -> None:
    base = _converted(make("smollm2", home / "toy"), home)
    write_gguf(home / "toy", home / "toy.gguf", bits=GGMLQuantizationType.Q8_0)
    with pytest.raises(ModelError, match=r"toy\.gguf.*the file differs. Restore it"):
        fetched_folder(base, home)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"architecture": "mamba"}, "architecture mamba, and llama, qwen2, qwen3, gemma3, smollm3 are read"),
        ({"pre": "viking"}, "the kind gpt2, viking"),
        ({"scaling": "yarn"}, r"scaled \(yarn\)"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_reason(
    changed: dict[str, str], words: str, home: Path
) -> None:
    base = _converted(make("smollm2", home / "toy"), home, **changed)
    with pytest.raises(ModelError, match=words):
        fetched_folder(base, home)
    assert not list((home / "cache" / "bases").glob("*"))


def test_a_file_that_holds_nan_is_refused_by_the_tensors_name(home: Path) -> None:
    toy = make("smollm2", home / "toy")
    model = AutoModelForCausalLM.from_pretrained(toy)
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    model.save_pretrained(toy)
    base = _converted(toy, home)
    with pytest.raises(ModelError, match=r"blk\.1\.ffn_up\.weight holds NaN"):
        checked_source(base, home)
    assert not [path.name for path in fetched_folder(base, home, weights=False).glob("*safetensors*")]


@pytest.mark.parametrize("keep", [0, 3, 20, 400, 5000, -10])
def test_a_file_that_ends_too_early_is_refused(keep: int, home: Path) -> None:
    path = write_gguf(make("smollm2", home / "toy"), home / "toy.gguf")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"toy\.gguf cannot be read.*Download it again"):
        GgufFile.read(path)


def test_a_damaged_file_never_raises_anything_else(home: Path) -> None:
    path = write_gguf(make("smollm2", home / "toy"), home / "toy.gguf")
    whole = bytearray(path.read_bytes())
    for place in range(4, 2000, 7):
        damaged = whole.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            fetched_folder(identify_base("toy.gguf", home), home)
        except ModelError:
            continue


def test_a_file_that_is_nowhere_is_refused_with_the_forms_of_names(home: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file missing\.gguf.*HUB-ID:FILE\.gguf"):
        identify_base("missing.gguf", home)
    with pytest.raises(ModelError, match=r"m\.gguf of nobody/model is not in this machine's cache"):
        identify_base("nobody/model:m.gguf", home)
