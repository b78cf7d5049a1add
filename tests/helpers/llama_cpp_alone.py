"""A GGUF file in llama.cpp without anything of this project: messages go in as texts, replies come out as texts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server


class LlamaCppAlone:
    """An opened file."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def greedy(self, messages: list[dict[str, str]], think: bool, tokens: int) -> tuple[str, str]:
        """Thought and answer of the likeliest reply, prompted by the template in the file."""
        texts = {"reasoning_content": "", "content": ""}

        def each(part: dict[str, Any]) -> bool:
            for choice in part.get("choices", []):
                for name in texts:
                    texts[name] += choice["delta"].get(name) or ""
            return False

        body = {
            "messages": messages,
            "temperature": 0.0,
            "max_tokens": tokens,
            "stream": True,
            "chat_template_kwargs": {"enable_thinking": think},
        }
        self.server.handle_chat_completions(body, each)
        return texts["reasoning_content"].strip(), texts["content"].strip()


@contextmanager
def llama_cpp_alone(file: Path, adapter: Path | None = None) -> Iterator[LlamaCppAlone]:
    """Open `file`, with the GGUF file of an `adapter` applied."""
    params = CommonParams()
    params.model.path = str(file)
    params.n_ctx = 2048
    params.warmup = False
    params.verbosity = -1
    params.port = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    if adapter is not None:
        params.lora_adapters = [CommonAdapterLoraInfo(str(adapter), 1.0)]
    yield LlamaCppAlone(Server(params))
