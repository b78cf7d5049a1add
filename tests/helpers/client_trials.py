"""What other people's clients make of a served app. A program of its own: it runs where the clients are installed.

    python client_trials.py CLIENT http://127.0.0.1:7860/v1

prints one JSON object, the same for each client if all is well. The client's name is its key, so that its conversations
are its own. Nothing of this project is needed.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

QUESTION = "What is 12 + 7?"
NEXT_QUESTION = "What is 3 + 4?"
TOO_LONG = "word " * 5_000
SCHEMA = {
    "title": "Sum",
    "description": "A sum.",
    "type": "object",
    "properties": {"value": {"type": "integer"}, "sure": {"type": "boolean"}},
    "required": ["value", "sure"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "Sum", "schema": SCHEMA, "strict": True}}


TOOL = {"type": "function", "function": {"name": "Sum", "parameters": SCHEMA}}


def arguments(completion: Any) -> Any:
    """The arguments of the one tool that a completion calls."""
    (call,) = completion.choices[0].message.tool_calls
    return json.loads(call.function.arguments)


def history(answer: str) -> list[dict[str, str]]:
    """A conversation of one exchange, and the next question."""
    return [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": NEXT_QUESTION},
    ]


def _of_completions(ask: Callable[..., Any], embedded: Callable[[], Any]) -> dict[str, Any]:
    """The trial of a client whose `ask`, of messages and further fields, gives OpenAI's completions."""

    def text(messages: list[dict[str, str]], **fields: Any) -> str:
        return str(ask(messages, **fields).choices[0].message.content)

    def streamed() -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in ask(asked(QUESTION), stream=True))

    return trial(
        chat=lambda **fields: text(asked(QUESTION), **fields),
        streamed=streamed,
        goes_on=lambda answer: text(history(answer)),
        too_long=lambda: text(asked(TOO_LONG)),
        structured=lambda: json.loads(text(asked(QUESTION), response_format=FORMAT)),
        called=lambda: arguments(ask(asked(QUESTION), tools=[TOOL], tool_choice="required")),
        embedded=embedded,
    )


def with_openai(url: str) -> dict[str, Any]:
    """OpenAI's own client."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="openai", max_retries=0)

    def ask(messages: list[dict[str, str]], **fields: Any) -> Any:
        return client.chat.completions.create(model="thumbtune", messages=messages, temperature=0, **fields)

    return _of_completions(ask, lambda: client.embeddings.create(model="thumbtune", input=QUESTION))


def with_litellm(url: str) -> dict[str, Any]:
    """litellm, which calls OpenAI's client and has exceptions of its own."""
    import litellm

    litellm.suppress_debug_info = True
    access = {"api_base": url, "api_key": "litellm", "model": "openai/thumbtune"}

    def ask(messages: list[dict[str, str]], **fields: Any) -> Any:
        return litellm.completion(messages=messages, temperature=0, **access, **fields)

    return _of_completions(ask, lambda: litellm.embedding(input=[QUESTION], **access))


def with_langchain(url: str) -> dict[str, Any]:
    """LangChain: the package langchain-openai."""
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    access: dict[str, Any] = {"base_url": url, "api_key": "langchain", "model": "thumbtune", "max_retries": 0}
    model = ChatOpenAI(temperature=0, **access)
    embeddings = OpenAIEmbeddings(check_embedding_ctx_length=False, **access)
    return trial(
        chat=lambda **fields: model.invoke(QUESTION, **fields).content,
        streamed=lambda: "".join(str(chunk.content) for chunk in model.stream(QUESTION)),
        goes_on=lambda answer: model.invoke(history(answer)).content,
        too_long=lambda: model.invoke(TOO_LONG),
        structured=lambda: model.with_structured_output(SCHEMA, method="json_schema").invoke(QUESTION),
        called=lambda: model.with_structured_output(SCHEMA, method="function_calling").invoke(QUESTION),
        embedded=lambda: embeddings.embed_query(QUESTION),
    )


def with_llama_index(url: str) -> dict[str, Any]:
    """llama-index: the packages llama-index-llms-openai-like and llama-index-embeddings-openai."""
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.llms.openai_like import OpenAILike
    from pydantic import create_model

    access: dict[str, Any] = {"api_base": url, "api_key": "llama-index", "max_retries": 0}
    options = access | {"temperature": 0, "is_chat_model": True, "context_window": 1024}
    model = OpenAILike(model="thumbtune", should_use_structured_outputs=True, **options)
    calling = OpenAILike(model="thumbtune", is_function_calling_model=True, **options)
    sums = create_model("Sum", value=(int, ...), sure=(bool, ...))

    def text(messages: list[dict[str, str]], **fields: Any) -> str:
        return str(model.chat([ChatMessage(**message) for message in messages], **fields).message.content)

    def streamed() -> str:
        return "".join(
            part.delta or "" for part in model.stream_chat([ChatMessage(role="user", content=QUESTION)])
        )

    return trial(
        chat=lambda **fields: text(asked(QUESTION), **fields),
        streamed=streamed,
        goes_on=lambda answer: text(history(answer)),
        too_long=lambda: text(asked(TOO_LONG)),
        structured=lambda: model.as_structured_llm(sums).complete(QUESTION).raw.model_dump(),
        called=lambda: calling.as_structured_llm(sums).complete(QUESTION).raw.model_dump(),
        embedded=lambda: OpenAIEmbedding(model_name="thumbtune", **access).get_text_embedding(QUESTION),
    )


def asked(question: str) -> list[dict[str, str]]:
    """The messages of one question."""
    return [{"role": "user", "content": question}]


def trial(
    chat: Callable[..., Any],
    streamed: Callable[[], Any],
    goes_on: Callable[[str], Any],
    too_long: Callable[[], Any],
    structured: Callable[[], Any],
    called: Callable[[], Any],
    embedded: Callable[[], Any],
) -> dict[str, Any]:
    """What came of each: texts, values, and the names of the exceptions with their bases."""
    answer = str(chat())
    return {
        "chat": answer,
        "streamed": streamed(),
        "stopped": chat(stop=["="]),
        "goes_on": goes_on(answer),
        "structured": structured(),
        "called": called(),
        "too_long": refusal(too_long),
        "embedded": refusal(embedded),
    }


def refusal(call: Callable[[], Any]) -> list[str]:
    """The class of the exception that a call raises, and those it is one of; then its message."""
    try:
        call()
    except Exception as error:
        return [*(f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__), str(error)]
    return []


CLIENTS = {
    "openai": with_openai,
    "litellm": with_litellm,
    "langchain": with_langchain,
    "llama-index": with_llama_index,
}

if __name__ == "__main__":
    print(json.dumps(CLIENTS[sys.argv[1]](sys.argv[2])))
