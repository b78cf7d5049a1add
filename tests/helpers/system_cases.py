"""Cases of chat applications and annotation tools."""

from __future__ import annotations

import json
from typing import Any

from helpers.import_cases import ERROR, FILE, HANGS, SOURCES, TOOL, ImportCase, reply, user

LIKED = {"rating": "thumbsUp", "tag": None, "text": "nice"}


def librechat(*messages: dict[str, Any]) -> list[Any]:
    """An exported conversation of LibreChat in which each message answers the one before."""
    return [
        {
            "conversationId": "c",
            "messages": [
                {
                    "messageId": f"m{number}",
                    "parentMessageId": f"m{number - 1}" if number else "00000000-0000-0000-0000-000000000000",
                    "isCreatedByUser": not number % 2,
                    "text": "",
                    "createdAt": f"2026-02-03T04:05:{number:02}Z",
                    **message,
                }
                for number, message in enumerate(messages)
            ],
        }
    ]


def open_webui(*replies: dict[str, Any], question: dict[str, Any] | None = None) -> list[Any]:
    """Ratings of Open WebUI, each of the reply in a chat of its own."""
    rows = []
    for number, fields in enumerate(replies):
        asked = {"id": "q", "parentId": None, "childrenIds": ["a"], "role": "user", "content": f"Q{number}"}
        answer = {"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "model": "m"} | fields
        messages = {"q": asked | (question or {}), "a": answer}
        rows.append(
            {
                "user_id": "u",
                "data": {"rating": 1},
                "meta": {"message_id": "a", "chat_id": f"chat{number}"},
                "snapshot": {"chat": {"chat": {"history": {"messages": messages}}}},
                "updated_at": 1764000000,
            }
        )
    return rows


def open_assistant(name: str, parent: str | None, text: str, **fields: Any) -> dict[str, Any]:
    """A message of Open-Assistant's flat form; a reply is always to the root."""
    role = "assistant" if parent else "prompter"
    return {"message_id": name, "parent_id": parent, "text": text, "role": role, **fields} | {
        "message_tree_id": parent or name
    }


def gradio(*flags: tuple[str, str, str]) -> str:
    """A log of flags: (answer, flag, minute)."""
    lines = ["conversation,index,flag,username,timestamp"]
    for answer, flag, minute in flags:
        messages = json.dumps([user("Hi"), reply(answer)]).replace('"', '""')
        lines.append(f'"{messages}",1,{flag},,2026-02-03 04:{minute}:00.000001')
    return "\n".join(lines) + "\n"


CHATS: dict[str, ImportCase] = {
    "a picture in LibreChat": ImportCase(
        "librechat",
        librechat(
            {"text": "What is it?", "files": [{"type": "image/png"}]}, {"text": "A cat", "feedback": LIKED}
        ),
        skipped={FILE: 1},
    ),
    "an error in LibreChat": ImportCase(
        "librechat",
        librechat(
            {"text": "1?"},
            {"text": "1."},
            {"text": "2?"},
            {"text": "429", "error": True},
            {"text": "3?"},
            {"text": "3.", "feedback": LIKED},
        ),
        left_out={ERROR: 1, HANGS: 2},
    ),
    "a tool in LibreChat": ImportCase(
        "librechat",
        librechat(
            {"text": "1?"},
            {"text": "1.", "feedback": LIKED},
            {"text": "2?"},
            {
                "content": [
                    {"type": "tool_call", "tool_call": {"name": "w"}},
                    {"type": "text", "text": "18 C"},
                ]
            },
        ),
        up=["1."],
        left_out={TOOL: 1},
    ),
    "files, tools, sources and errors in Open WebUI": ImportCase(
        "open-webui",
        open_webui(
            {
                "content": '<details type="reasoning" done="true">\n<summary>T</summary>\n> a\n</details>\nFour.'
            },
            {"content": '<details type="tool_calls" done="true">\n<summary>T</summary>\n</details>\nRain.'},
            {"content": '<details type="code_interpreter">\n<summary>T</summary>\n</details>\nFive.'},
            {"content": "News [1]", "sources": [{"source": {"name": "x"}}]},
            {"content": "News", "statusHistory": [{"action": "web_search", "done": True}]},
            {"content": "Rain.", "output": [{"type": "function_call", "name": "w"}]},
            {"content": "", "error": {"content": "refused"}},
        ),
        up=["Four."],
        skipped={TOOL: 3, SOURCES: 2, ERROR: 1},
    ),
    "a file in Open WebUI": ImportCase(
        "open-webui",
        open_webui({"content": "A contract."}, question={"files": [{"type": "file", "name": "x.pdf"}]}),
        skipped={FILE: 1},
    ),
    "chats of Open WebUI are trees with their ratings": ImportCase(
        "open-webui",
        [
            {
                "id": "c1",
                "user_id": "u",
                "title": "Sums",
                "chat": {
                    "history": {
                        "messages": {
                            "q": {"parentId": None, "role": "user", "content": "2+2?"},
                            "a": {
                                "parentId": "q",
                                "role": "assistant",
                                "content": "4",
                                "annotation": {"rating": 1},
                            },
                            "b": {
                                "parentId": "q",
                                "role": "assistant",
                                "content": "5",
                                "annotation": {"rating": -1},
                            },
                            "c": {
                                "parentId": "q",
                                "role": "assistant",
                                "content": "?",
                                "files": [{"type": "image"}],
                            },
                        }
                    }
                },
                "updated_at": 1764000000,
            }
        ],
        up=["4"],
        down=["5"],
        left_out={FILE: 1},
    ),
    "tools and pictures in chat-ui": ImportCase(
        "chat-ui",
        [
            {
                "created_at": "2026-04-01T00:00:00",
                "messages": [
                    {"from": "user", "content": "1?"},
                    {"from": "assistant", "content": "1.", "score": 1},
                    {"from": "user", "content": "2?", "files": [{"name": "x.png"}]},
                    {"from": "assistant", "content": "2.", "score": -1},
                ],
            },
            {
                "created_at": "2026-04-02T00:00:00",
                "messages": [
                    {"from": "user", "content": "3?"},
                    {"from": "assistant", "content": "3.", "score": 1, "updates": [{"type": "tool"}]},
                ],
            },
        ],
        up=["1."],
        skipped={TOOL: 1},
        left_out={FILE: 1, HANGS: 1},
    ),
    "a comment does not flip a choice in Argilla": ImportCase(
        "argilla",
        [
            {
                "fields": {"prompt": "hi", "response_a": "no", "response_b": "ya"},
                "responses": {
                    "preference": [{"value": "B", "user_id": "u"}],
                    "comment": [{"value": "better than plan a", "user_id": "u"}],
                },
            },
            {
                "fields": {"prompt": "hi", "response_1": "left", "response_2": "right"},
                "responses": {
                    "style": [{"value": "response_1", "user_id": "u"}],
                    "truth": [{"value": "Response 2", "user_id": "u"}],
                },
            },
            {
                "fields": {"chat": [user("hi"), reply("yo")]},
                "responses": {"ok": [{"value": "yes", "user_id": "u"}]},
            },
            {
                "fields": {"prompt": "2+2", "completion": "5"},
                "responses": {
                    "quality": [{"value": 1, "user_id": "u"}],
                    "correction": [{"value": "4", "user_id": "u"}],
                },
            },
            {
                "fields": {"prompt": "hi", "response": "so so"},
                "responses": {
                    "kind": [{"value": "good", "user_id": "u"}],
                    "true": [{"value": "no", "user_id": "u"}],
                },
            },
        ],
        up=["yo"],
        pairs=["ya > no"],
        skipped={"answers without a label or ranking of the replies, or that disagree": 3},
    ),
    "the last flag of a message in Gradio's log stands": ImportCase(
        "gradio",
        gradio(
            ("liked", "Like", "01"),
            ("undone", "Like", "02"),
            ("undone", "", "03"),
            ("reported", "Dislike", "04"),
            ("reported", "Spam", "05"),
            ("liked after all", "", "06"),
            ("liked after all", "Like", "07"),
        ),
        up=["liked", "liked after all"],
        skipped={"a flag that is neither Like nor Dislike": 1},
        name="log.csv",
    ),
    "a flat tree of Open-Assistant": ImportCase(
        "open-assistant",
        [
            open_assistant("p", None, "Hi"),
            open_assistant("a", "p", "Yo", rank=0.0),
            open_assistant("b", "p", "No", rank=1.0),
            open_assistant("q", None, "?"),
            open_assistant("c", "q", "!", rank=None),
        ],
        pairs=["Yo > No"],
    ),
}
