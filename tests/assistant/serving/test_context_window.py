"""Long conversations: the oldest exchanges make room, no message is cut, and left-out messages are counted."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.plain_tokenizer import Plain

from assistant.errors import ModelError, PromptError, TooLong
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.context_window import completion_limit, configured_window, fit

WINDOW = 1000


@pytest.fixture
def tokenizer() -> Any:
    """A tokenizer without a template, one token for each character, so that lengths can be counted by hand."""
    return Plain()


def conversation(turns: int, system: str = "") -> list[dict[str, str]]:
    messages = [{"role": "system", "content": system}] if system else []
    for number in range(turns):
        messages += [
            {"role": "user", "content": f"question {number} {'x' * 20}"},
            {"role": "assistant", "content": f"answer {number}"},
        ]
    return [*messages, {"role": "user", "content": "the last question"}]


def read(ids: list[int]) -> str:
    return "".join(map(chr, ids))


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"text_config": {"max_position_embeddings": 256}, "vision_config": {}}, 256),
        ({"model_type": "llama"}, None),
    ],
)
def test_the_window_stands_in_the_configuration(tmp_path: Path, config: Any, window: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert configured_window(tmp_path) == window


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        configured_window(tmp_path)


def test_a_conversation_that_fits_is_read_whole(tokenizer: Any) -> None:
    messages = conversation(5)
    fitted = fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=300)
    assert fitted.ids == prompt.render(tokenizer, messages, think=False)
    assert fitted.dropped == 0


@pytest.mark.parametrize("turns", [12, 13, 40, 41, 200])
def test_the_oldest_exchanges_make_room_and_no_more_of_them_than_needed(tokenizer: Any, turns: int) -> None:
    messages = conversation(turns)
    fitted = fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=300)
    assert fitted.dropped > 0
    assert fitted.dropped % 2 == 0
    assert fitted.ids == prompt.render(tokenizer, messages[fitted.dropped :], think=False)
    assert len(fitted.ids) <= WINDOW - 300
    one_more = prompt.render(tokenizer, messages[fitted.dropped - 2 :], think=False)
    assert len(one_more) > WINDOW - 300


def test_the_system_prompt_stays(tokenizer: Any) -> None:
    messages = conversation(40, system="Always brief.")
    fitted = fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=300)
    text = read(fitted.ids)
    assert text.startswith("System: Always brief.\nUser: question")
    assert text.endswith("User: the last question\nAssistant:")
    assert "question 0 x" not in text
    kept = [messages[0], *messages[1 + fitted.dropped :]]
    assert fitted.ids == prompt.render(tokenizer, kept, think=False)


def test_a_reply_may_claim_half_of_the_window_at_most(tokenizer: Any) -> None:
    fitted = fit(tokenizer, WINDOW, conversation(40), think=False, max_new_tokens=10 * WINDOW)
    assert WINDOW // 2 - 60 < len(fitted.ids) <= WINDOW // 2


@pytest.mark.parametrize("before", [0, 3])
def test_a_single_message_over_the_window_is_refused_with_its_length(tokenizer: Any, before: int) -> None:
    messages = [*conversation(before)[:-1], {"role": "user", "content": "x" * 5000}]
    with pytest.raises(TooLong, match=r"50\d\d tokens, and there is room for 700.*Shorten it"):
        fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=300)


def test_a_system_prompt_that_leaves_no_room_is_refused(tokenizer: Any) -> None:
    with pytest.raises(TooLong):
        fit(tokenizer, WINDOW, conversation(3, system="x" * 900), think=False, max_new_tokens=300)


def test_an_empty_message_is_refused_however_long_the_conversation(tokenizer: Any) -> None:
    with pytest.raises(PromptError, match="empty"):
        fit(
            tokenizer,
            WINDOW,
            [*conversation(40)[:-1], {"role": "user", "content": " "}],
            think=False,
            max_new_tokens=9,
        )


@pytest.mark.parametrize(("prompt_tokens", "limit"), [(10, 40), (70, 30), (99, 1)])
def test_a_completion_gets_the_room_that_the_window_leaves(prompt_tokens: int, limit: int) -> None:
    served: Any = SimpleNamespace(version=SimpleNamespace(id="v1"), window=100)
    assert completion_limit(served, [5] * prompt_tokens, Sampling(max_new_tokens=40)) == limit


def test_a_prompt_that_fills_the_window_is_refused_with_both_lengths() -> None:
    served: Any = SimpleNamespace(version=SimpleNamespace(id="v1"), window=100)
    with pytest.raises(TooLong, match=r"too long: 100 tokens.*v1 reads 100.*Shorten it") as refusal:
        completion_limit(served, [5] * 100, Sampling())
    assert (refusal.value.tokens, refusal.value.most) == (100, 100)
