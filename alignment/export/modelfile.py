"""The Modelfile with which Ollama serves an exported GGUF file: `ollama create NAME -f Modelfile`.

Ollama writes prompts with a template in Go's language, not with the model's own in Jinja. The two usual formats of a
turn are known here, and one is taken only if it gives what the model's own template gives. Format:
https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from dataclasses import dataclass

from assistant.serving.chat_tokenizer import ChatTokenizer
from assistant.serving.tokenizing.chat_template import apply_template

MOST_CONTEXT = 8192
"""Most tokens that the Modelfile asks Ollama to keep: memory for them is taken at once."""


@dataclass(frozen=True)
class TurnFormat:
    """How a chat template writes a turn: `opening`, with "{role}" in it, then its text, then `closing`."""

    opening: str
    closing: str

    def turn(self, role: str, text: str) -> str:
        """One turn as the template writes it."""
        return f"{self.opening.format(role=role)}{text}{self.closing}"


_FORMATS = (
    TurnFormat("<|im_start|>{role}\n", "<|im_end|>\n"),
    TurnFormat("<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>"),
)
"""ChatML (SmolLM2, Qwen) and Llama 3."""


def modelfile(
    gguf_name: str, tokenizer: ChatTokenizer, ends: list[int], window: int, sampling: dict[str, float]
) -> str:
    """The text of a Modelfile beside the GGUF file `gguf_name`. `sampling`: Ollama's parameters by name."""
    lines = [f"FROM ./{gguf_name}"]
    turn = next((known for known in _FORMATS if _begins(tokenizer, known) is not None), None)
    if turn is None:
        lines.append("# Ollama recognises the template of many models by itself; else add a TEMPLATE.")
    else:
        lines.append(f'TEMPLATE """{_go_template(tokenizer, turn)}"""')
        system = _default_system(tokenizer, turn)
        if system:
            lines.append(f'SYSTEM """{system}"""')
    for end in ends:
        lines.append(f'PARAMETER stop "{tokenizer.convert_ids_to_tokens(end)}"')
    lines.append(f"PARAMETER num_ctx {min(window, MOST_CONTEXT)}")
    lines += [f"PARAMETER {name} {value:g}" for name, value in sampling.items()]
    return "\n".join(lines) + "\n"


def _go_template(tokenizer: ChatTokenizer, turn: TurnFormat) -> str:
    opening = turn.opening.format(role="{{ .Role }}")
    body = f"{{{{- range .Messages }}}}{opening}{{{{ .Content }}}}{turn.closing}{{{{ end }}}}"
    answer = turn.opening.format(role="assistant")
    without = _answer_opening(tokenizer, turn, enable_thinking=False)
    if without and without != answer:
        # Asked not to think, the model's own template opens the answer so.
        closed = without.removeprefix(answer)
        answer += f"{{{{ if and $.IsThinkSet (not $.Think) }}}}{closed}{{{{ end }}}}"
    return body + answer


def _begins(tokenizer: ChatTokenizer, turn: TurnFormat) -> str | None:
    """What the template writes before the first turn, if it writes turns in this format; else None."""
    talk = [("system", "Be brief."), ("user", "Hello?"), ("assistant", "Hello."), ("user", "And now?")]
    written = _written(tokenizer, talk)
    expected = "".join(turn.turn(role, text) for role, text in talk)
    begin, found, rest = written.partition(expected)
    return begin if found and rest.startswith(turn.opening.format(role="assistant")) else None


def _default_system(tokenizer: ChatTokenizer, turn: TurnFormat) -> str:
    """The system message that the template adds where a conversation has none; empty if it adds none."""
    written = _written(tokenizer, [("user", "Hello?")])
    before, found, _ = written.partition(turn.turn("user", "Hello?"))
    opening = turn.opening.format(role="system")
    begin = (_begins(tokenizer, turn) or "") + opening
    if not found or not before.startswith(begin) or not before.endswith(turn.closing):
        return ""
    return before.removeprefix(begin).removesuffix(turn.closing)


def _answer_opening(tokenizer: ChatTokenizer, turn: TurnFormat, **switches: bool) -> str:
    """What the template writes after the last turn, up to where the model goes on."""
    return _written(tokenizer, [("user", "Hello?")], **switches).partition(turn.turn("user", "Hello?"))[2]


def _written(tokenizer: ChatTokenizer, talk: list[tuple[str, str]], **switches: bool) -> str:
    messages = [{"role": role, "content": text} for role, text in talk]
    return tokenizer.decode(apply_template(tokenizer, messages, **switches))
