"""Chat templates: each gets every text of a conversation in a form that it reads, or is refused in words."""

from pathlib import Path
from typing import Any

import pytest
from helpers.tokenizer_folders import CHATML, GEMMA, LLAMA3, QWEN3, llama2
from tokenizers import Tokenizer, decoders, models, processors

from assistant.errors import ModelError, PromptError
from assistant.serving import prompt
from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.tokenizing.chat_template import check_template
from assistant.serving.tokenizing.tokenizer_protocol import start_of_text

LETTERS = {chr(number): number for number in range(256)}


def tokenizer(template: str | None, ends: bool = False) -> ChatTokenizer:
    """A token is a character; `ends` puts END after each text, and a token before it."""
    backend = Tokenizer(models.BPE(LETTERS, []))
    backend.decoder = decoders.Fuse()
    if ends:
        backend.post_processor = processors.TemplateProcessing(
            single="\x02 $A \x00", special_tokens=[("\x02", 2), ("\x00", 0)]
        )
    return ChatTokenizer(backend, {"eos_token": "\x00", "bos_token": "\x02"}, template)


def talk(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"text {place}"} for place, role in enumerate(roles)]


def rendered(template: str, *roles: str) -> str:
    made = tokenizer(template)
    return made.decode(prompt.render(made, talk(*roles), think=False))


PARTS = (
    "{% for message in messages %}{{ message['role'] }}:"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %};{% endfor %}"
)
PARTS_THAT_FAIL = (
    "{% for message in messages %}"
    "{{ message['role'] + ':' + message['content'][0]['text'] + ';' }}{% endfor %}"
)
FIRST_SYSTEM = (
    "{% if messages[0].role == 'system' %}<<{{ messages[0].content }}>>{% endif %}"
    "{% for message in messages if message.role != 'system' %}{{ message.role }}:{{ message.content }};{% endfor %}"
)
NO_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ message.content + 1 }}{% endif %}"
    "{{ message.role }}:{{ message.content }};{% endfor %}"
)


@pytest.mark.parametrize("template", [PARTS, PARTS_THAT_FAIL])
def test_a_template_that_reads_parts_gets_parts(template: str) -> None:
    assert rendered(template, "system", "user") == "system:text 0;user:text 1;"


def test_system_messages_that_a_template_would_leave_out_are_put_where_it_reads_them() -> None:
    assert rendered(FIRST_SYSTEM, "system", "system", "user") == "<<text 0\n\ntext 1>>user:text 2;"
    assert (
        rendered(FIRST_SYSTEM, "system", "user", "assistant", "system", "user")
        == "<<text 0>>user:text 1;assistant:text 2;user:text 3;user:text 4;"
    )


def test_a_system_message_at_which_a_template_fails_becomes_the_persons() -> None:
    assert rendered(NO_SYSTEM, "system", "user") == "user:text 0\n\ntext 1;"


@pytest.mark.parametrize(
    "template", [CHATML, QWEN3, LLAMA3, GEMMA, PARTS, PARTS_THAT_FAIL, FIRST_SYSTEM, NO_SYSTEM]
)
@pytest.mark.parametrize(
    "roles",
    [
        ("user",),
        ("system", "user"),
        ("system", "system", "user"),
        ("user", "assistant", "user"),
        ("assistant", "user"),
        ("user", "user"),
        ("system", "user", "assistant", "system", "user"),
        ("user", "system"),
    ],
)
def test_no_text_of_a_conversation_is_lost(template: str, roles: tuple[str, ...]) -> None:
    text = rendered(template, *roles)
    for place in range(len(roles)):
        assert text.count(f"text {place}") == 1


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ messages[0]['content'] + 1 }}", "can only concatenate str"),
        ("{{ raise_exception('Use the tool format.') }}", "Use the tool format"),
        ("{{ 1 // 0 }}", "modulo by zero"),
        ("Hello!", "reads no message. Correct"),
        ("{% for message in messages %}{{ message['text'] }}{% endfor %}", "reads no message. Correct"),
    ],
)
def test_a_template_that_reads_no_message_is_refused_when_it_is_loaded(template: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        check_template(tokenizer(template))


def test_a_conversation_at_which_a_template_fails_is_refused_in_words() -> None:
    template = "{% if messages|length > 2 %}{{ 1 + 'a' }}{% endif %}{{ messages[-1].content }}"
    with pytest.raises(PromptError, match="refuses this conversation: unsupported operand"):
        rendered(template, "user", "assistant", "user")


def test_a_prompt_without_a_template_begins_as_texts_do_and_does_not_end(tmp_path: Path) -> None:
    made = tokenizer(None, ends=True)
    check_template(made)
    ids = prompt.render(made, talk("user"), think=False)
    assert made.decode(ids) == "\x02User: text 0\nAssistant:"
    assert start_of_text(made) == [2]
    assert start_of_text(tokenizer(None)) == []
    folder: Any = ChatTokenizer.read(llama2(tmp_path / "llama2"))
    assert prompt.render(folder, talk("user"), think=False) == folder("User: text 0\nAssistant:").input_ids
