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
from assistant.serving.context_window import MOST_MESSAGES, completion_limit, configured_window, fit, newest

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


def test_every_system_message_at_the_start_stays(tokenizer: Any) -> None:
    rules = [{"role": "system", "content": text} for text in ("Always brief.", "Never rude.", "In English.")]
    fitted = fit(tokenizer, WINDOW, [*rules, *conversation(40)], think=False, max_new_tokens=300)
    opening = "System: Always brief.\nSystem: Never rude.\nSystem: In English.\nUser: question"
    assert read(fitted.ids).startswith(opening)
    assert fitted.dropped > 0


def test_a_system_message_stays_with_the_message_before_which_it_stands(tokenizer: Any) -> None:
    *history, last = conversation(40)
    fitted = fit(
        tokenizer,
        WINDOW,
        [*history, {"role": "system", "content": "Now in French."}, last],
        think=False,
        max_new_tokens=WINDOW,
    )
    assert read(fitted.ids).endswith("System: Now in French.\nUser: the last question\nAssistant:")
    alone = [*history, {"role": "system", "content": "Now in French."}, {**last, "content": "x" * 800}]
    fitted = fit(tokenizer, WINDOW, alone, think=False, max_new_tokens=WINDOW)
    assert read(fitted.ids).startswith("System: Now in French.\nUser: xxx")


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("max_new_tokens", [512, 4096])
def test_a_long_message_leaves_its_reply_what_is_left(
    tokenizer: Any, before: int, max_new_tokens: int
) -> None:
    messages = [*conversation(before)[:-1], {"role": "user", "content": "x" * 900}]
    fitted = fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=max_new_tokens)
    assert fitted.ids == prompt.render(tokenizer, messages[-1:], think=False)
    assert fitted.dropped == 2 * before


def test_of_a_very_long_transcript_the_newest_messages_are_read() -> None:
    rules = [{"role": "system", "content": "Always brief."}]
    beginnings = set()
    for turns in range(MOST_MESSAGES, MOST_MESSAGES + MOST_MESSAGES // 4):
        kept, left_out = newest([*rules, *conversation(turns)])
        assert kept[0] == rules[0]
        assert MOST_MESSAGES // 2 <= len(kept) - 1 <= MOST_MESSAGES
        assert len(kept) + left_out == 2 * turns + 2
        assert kept[-1]["content"] == "the last question"
        beginnings.add(kept[1]["content"])
    # One that grows begins with the same message for long.
    assert len(beginnings) <= 2
    assert newest(conversation(MOST_MESSAGES // 4)) == (conversation(MOST_MESSAGES // 4), 0)


def test_what_cannot_fit_is_not_tokenized(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    render = prompt.render

    def counted(*arguments: Any) -> list[int]:
        ids = render(*arguments)
        lengths.append(len(ids))
        return ids

    monkeypatch.setattr(prompt, "render", counted)
    long = conversation(100)
    long[50]["content"] = "x" * 1_000_000
    expected = fit(tokenizer, WINDOW, [*long[:50], *long[52:]], think=False, max_new_tokens=300)
    fitted = fit(tokenizer, WINDOW, long, think=False, max_new_tokens=300)
    assert (fitted.ids, fitted.dropped) == (expected.ids, expected.dropped + 2)
    with pytest.raises(TooLong, match="7812 tokens"):
        fit(tokenizer, WINDOW, [{"role": "user", "content": "x" * 1_000_000}], False, 300)
    assert max(lengths) < 128 * WINDOW


def test_a_reply_may_claim_half_of_the_window_at_most(tokenizer: Any) -> None:
    fitted = fit(tokenizer, WINDOW, conversation(40), think=False, max_new_tokens=10 * WINDOW)
    assert WINDOW // 2 - 60 < len(fitted.ids) <= WINDOW // 2


@pytest.mark.parametrize("before", [0, 3])
def test_a_single_message_over_the_window_is_refused_with_its_length(tokenizer: Any, before: int) -> None:
    messages = [*conversation(before)[:-1], {"role": "user", "content": "x" * 5000}]
    with pytest.raises(TooLong, match=r"50\d\d tokens, and there is room for 984.*Shorten it"):
        fit(tokenizer, WINDOW, messages, think=False, max_new_tokens=300)


def test_a_system_prompt_that_leaves_no_room_is_refused(tokenizer: Any) -> None:
    with pytest.raises(TooLong):
        fit(tokenizer, WINDOW, conversation(3, system="x" * 970), think=False, max_new_tokens=300)


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
