"""Convert rows to TRL's conversational formats, with the thinking mode as a keyword argument of the chat template.

A thought is written in `<think>` tags, the common convention.
"""

from typing import Any

from feedback_store.rows.demonstrations import DemonstrationRow, PromptRow
from feedback_store.rows.pairs import PreferenceRow
from feedback_store.rows.thumbs import UnpairedRow


def trl_kto(row: UnpairedRow) -> dict[str, Any]:
    """The fields of KTO: `prompt`, `completion`, `label`."""
    return {
        "prompt": row.messages,
        "completion": _completion(row.thought, row.answer),
        "label": row.label,
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_preference(row: PreferenceRow) -> dict[str, Any]:
    """The fields of DPO and reward models: `prompt`, `chosen`, `rejected`."""
    return {
        "prompt": row.messages,
        "chosen": _completion(row.chosen.thought, row.chosen.answer),
        "rejected": _completion(row.rejected.thought, row.rejected.answer),
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_sft(row: DemonstrationRow) -> dict[str, Any]:
    """The fields of SFT: `prompt` and `completion`, so that only the completion is learned."""
    return {
        "prompt": row.messages,
        "completion": _completion(row.thought, row.answer),
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_prompt(row: PromptRow) -> dict[str, Any]:
    """The field of RLOO, GRPO and PPO: `prompt` alone."""
    return {"prompt": row.messages, "chat_template_kwargs": {"enable_thinking": row.think}}


def _completion(thought: str | None, answer: str) -> list[dict[str, str]]:
    tagged = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    return [{"role": "assistant", "content": tagged + answer}]
