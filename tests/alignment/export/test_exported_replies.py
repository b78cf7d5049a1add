"""Exported versions: other programs read them alone, and answer word for word as the served version does."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.engines import collect
from helpers.llama_cpp_alone import llama_cpp_alone
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.__main__ import main
from alignment.export.gguf_model import write_gguf
from alignment.suites.starter_suite import select_tasks
from assistant.bases.base import STARTER_FOLDER
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

TOKENS = 100
Question = tuple[list[dict[str, str]], bool]
"""Messages, and whether to think."""

KINDS = {"word_two_step": True, "addition": True, "identity": False, "concept": False, "outside": False}
"""Kinds of tasks, each in the mode in which the starter knows the answer: a guess is a near tie of several tokens."""


def questions(count: int) -> list[Question]:
    """Held-out tasks of several kinds, in both languages."""
    each = math.ceil(count / (2 * len(KINDS)))
    tasks = select_tasks(list(KINDS), each, 1)
    # The first task of each kind and language, then the second ones.
    ordered = [task for place in range(each) for task in tasks[place::each]]
    return [(list(task.messages), KINDS[task.kind]) for task in ordered[:count]]


FEW, MANY = 4, pytest.param(50, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the starter."""
    home = tmp_path_factory.mktemp("export")
    version_to_serve(home, "starter")
    return home


Reply = tuple[str, str]
"""Thought and answer."""


def parsed(text: str, think: bool) -> Reply:
    """A completion's text in its two parts."""
    reply = prompt.parse(text, think)
    return reply.thought, reply.answer


def served_replies(home: Path, asked: Sequence[Question]) -> list[Reply]:
    """What the app on llama.cpp writes."""
    engine = LlamaCppEngine(Versions(home), Versions(home).open("v1"), 2**26)
    sampling = Sampling(temperature=0.0, max_new_tokens=TOKENS)
    replies = []
    try:
        with engine.lease() as served:
            for messages, think in asked:
                ids = prompt.render(served.tokenizer, messages, think)
                written = asyncio.run(collect(served, ids, sampling))[0]
                replies.append(parsed(prompt.decode(served.tokenizer, written), think))
    finally:
        engine.close()
    return replies


def transformers_replies(model: torch.nn.Module, folder: Path, asked: Sequence[Question]) -> list[Reply]:
    """What transformers alone writes, by the tokenizer and the template in `folder`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    replies = []
    for messages, think in asked:
        ids = tokenizer.apply_chat_template(
            messages,
            add_generation_prompt=True,
            return_dict=False,
            return_tensors="pt",
            enable_thinking=think,
        )
        written = model.generate(ids, max_new_tokens=TOKENS, do_sample=False)[0, ids.shape[1] :]
        replies.append(parsed(prompt.decode(tokenizer, written.tolist()), think))
    return replies


def export(home: Path, out: Path, *flags: str) -> Path:
    """`out`, with v1 of `home` in it."""
    assert main(["export", "v1", "--home", str(home), "--out", str(out), *flags]) == 0
    return out


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        ("--format gguf", FEW),
        pytest.param("--format gguf", 50, marks=pytest.mark.slow),
        pytest.param("--format gguf --dtype f16", 50, marks=pytest.mark.slow),
        pytest.param("--format gguf --quantize q8_0", 50, marks=pytest.mark.slow),
    ],
)
def test_the_gguf_file_answers_in_llama_cpp_alone_as_the_served_version(
    starter: Path, tmp_path: Path, flags: str, count: int
) -> None:
    asked = questions(count)
    (file,) = export(starter, tmp_path / "out", *flags.split()).glob("*.gguf")
    with llama_cpp_alone(file) as alone:
        assert [alone.greedy(*question, TOKENS) for question in asked] == served_replies(starter, asked)


def test_the_adapter_alone_answers_on_a_gguf_file_of_its_base_as_the_served_version(
    starter: Path, tmp_path: Path
) -> None:
    asked = questions(FEW)
    (adapter,) = export(starter, tmp_path / "adapter", "--format", "gguf", "--adapter-only").glob("*.gguf")
    version = Versions(starter).open("v1")
    bare = replace(version, manifest=replace(version.manifest, adapter=False))
    write_gguf(bare, STARTER_FOLDER / "base", tmp_path / "base.gguf", "base", "bf16")
    with llama_cpp_alone(tmp_path / "base.gguf", adapter) as alone:
        assert [alone.greedy(*question, TOKENS) for question in asked] == served_replies(starter, asked)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_the_merged_model_answers_in_transformers_alone_as_the_served_version(
    starter: Path, tmp_path: Path, count: int
) -> None:
    asked = questions(count)
    folder = export(starter, tmp_path / "out", "--format", "merged")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert transformers_replies(model, folder, asked) == served_replies(starter, asked)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_the_adapter_answers_in_peft_alone_as_the_served_version(
    starter: Path, tmp_path: Path, count: int
) -> None:
    asked = questions(count)
    folder = export(starter, tmp_path / "out", "--format", "peft")
    base = AutoModelForCausalLM.from_pretrained(STARTER_FOLDER / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder)
    assert transformers_replies(model, STARTER_FOLDER / "base", asked) == served_replies(starter, asked)
