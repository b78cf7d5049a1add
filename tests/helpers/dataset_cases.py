"""Cases of training rows: judgements, and what is no text."""

from __future__ import annotations

from helpers.import_cases import FILE, TOOL, ImportCase, reply, user

ASKED = [user("What is it?")]
CALL = {"tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {}}}]}

DATASETS: dict[str, ImportCase] = {
    "labels are thumbs, of messages too": ImportCase(
        "trl",
        [
            {"messages": [user("q"), reply("poor")], "label": False},
            {"messages": [user("q"), reply("fine")], "label": True},
            {"prompt": "p", "completion": "one", "label": 1},
            {"prompt": "p", "completion": "word", "label": "true"},
            {"prompt": "p", "completion": "zero", "label": 0},
            {"prompt": "p", "completion": "Word", "label": "False"},
        ],
        up=["fine", "one", "word"],
        down=["Word", "poor", "zero"],
    ),
    "a label that says nothing is no judgement": ImportCase(
        "trl",
        [
            {"prompt": "p", "completion": "c", "label": None},
            {"prompt": "p", "completion": "c", "label": "good"},
        ],
        skipped={
            "a label that is null, which is no judgement": 1,
            "a label that is neither true nor false": 1,
        },
    ),
    "labels of alpaca rows": ImportCase(
        "llama-factory",
        [
            {"instruction": "q", "input": "", "output": "poor", "kto_tag": False},
            {"instruction": "q", "output": "fine", "label": True},
            {"instruction": "q", "output": ["fine", "poor"]},
            {"instruction": "q", "output": "c", "chosen": "x", "rejected": None},
            {"instruction": "q", "output": "c", "kto_tag": None},
        ],
        up=["fine"],
        down=["poor"],
        skipped={
            "a reply that is neither a text nor a message": 1,
            "a pair without its second reply: no rejected": 1,
            "a label that is null, which is no judgement": 1,
        },
    ),
    "a pair beside messages is a pair": ImportCase(
        "trl",
        [
            {"messages": [*ASKED, reply("a")], "rejected_response": "b"},
            {
                "prompt": "What is it?",
                "chosen": [*ASKED, reply("c")],
                "rejected": [*ASKED, reply("d")],
                "messages": [*ASKED, reply("c")],
                "score_chosen": 8.5,
                "score_rejected": 4.0,
            },
            {"prompt": "p", "chosen": "e", "rejected": "f", "score_chosen": 5.0, "score_rejected": 5.0},
            {"prompt": "p", "chosen": "g", "rejected": "h", "score_chosen": 1, "score_rejected": 5},
            {"system": "s", "question": "q", "chosen": "i", "rejected": "j"},
        ],
        pairs=["a > b", "c > d", "e = f", "i > j"],
        skipped={"score_chosen is lower than score_rejected": 1},
    ),
    "a pair without its second reply": ImportCase(
        "trl",
        [
            {"prompt": "p", "chosen": "a"},
            {"prompt": "p", "rejected": "b"},
            {"prompt": "p", "chosen": "", "rejected": "b"},
        ],
        skipped={
            "a pair without its second reply: no rejected": 1,
            "a pair without its second reply: no chosen": 1,
            "a reply is empty": 1,
        },
    ),
    "judgements that nobody reads": ImportCase(
        "trl",
        [
            {"prompt": "p", "response": "a", "helpfulness": 3, "coherence": 4},
            {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]},
            {"prompt": "p", "response": "a"},
            {"messages": [*ASKED, reply("a")], "score": 2.5},
            {"prompt": "p", "difficulty": 3},
        ],
        prompts=1,
        skipped={
            "columns that are not read: coherence, helpfulness, response": 1,
            "columns that are not read: completions, labels": 1,
            "columns that are not read: response": 1,
            "columns that are not read: score": 1,
        },
    ),
    "judgements of alpaca rows that nobody reads": ImportCase(
        "llama-factory",
        [
            {"instruction": "q", "completions": [{"response": "a", "overall_score": 7}]},
            {"instruction": "q", "output_1": "a", "output_2": "b", "preference": 1},
            {"instruction": "q", "generations": ["a", "b"]},
        ],
        skipped={
            "columns that are not read: completions": 1,
            "columns that are not read: output_1, output_2, preference": 1,
            "columns that are not read: generations": 1,
        },
    ),
    "a weight of 0 is no demonstration": ImportCase(
        "trl",
        [
            {"messages": [user("q1"), reply("bad", weight=0), user("q2"), reply("good", weight=1)]},
            {"messages": [user("q3"), reply("not this", weight=0)]},
            {"messages": [user("q4"), reply("nor this", loss=False)]},
        ],
        demos=["good"],
        skipped={"messages without a reply to be learned": 2},
    ),
    "every reply of a conversation is a demonstration": ImportCase(
        "llama-factory",
        [
            {
                "conversations": [
                    {"from": "human", "value": "1?"},
                    {"from": "gpt", "value": "1."},
                    {"from": "human", "value": "2?"},
                    {"from": "gpt", "value": "2."},
                ]
            },
            {
                "conversations": [
                    {"from": "user", "value": "3?"},
                    {"from": "chatgpt", "value": "3."},
                    {"from": "user", "value": "4?"},
                ]
            },
            {"conversations": [{"from": "human", "value": "5?"}, {"from": "function_call", "value": "{}"}]},
            {"messages": [user([{"type": "text", "value": "6?"}]), reply([{"type": "text", "value": "6."}])]},
        ],
        demos=["1.", "2.", "3.", "6."],
        skipped={TOOL: 1},
        left_out={"a last message without a reply": 1},
    ),
    "pictures in training rows": ImportCase(
        "trl",
        [
            {"images": ["a.png"], "prompt": ASKED, "completion": [reply("a cat")]},
            {"image": "a.png", "prompt": "what?", "chosen": "cat", "rejected": "dog"},
            {"file": "source.txt", "prompt": "what?", "chosen": "cat", "rejected": "dog"},
            {
                "messages": [
                    user([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]),
                    reply("a"),
                ]
            },
        ],
        pairs=["cat > dog"],
        skipped={FILE: 3},
    ),
    "tools in training rows": ImportCase(
        "trl",
        [
            {"messages": [*ASKED, reply("", **CALL), {"role": "tool", "content": "1"}, reply("1")]},
            {"messages": [*ASKED, reply("Let me look.", **CALL)]},
            {"prompt": ASKED, "chosen": [reply("", **CALL)], "rejected": [reply("no")]},
            {"messages": [*ASKED, reply("first"), user("w?"), reply("", **CALL)], "tools": "[]"},
        ],
        demos=["first"],
        skipped={TOOL: 3},
        left_out={TOOL: 1},
    ),
}
