"""Rows as TRL's trainers take them: conversational, with the thinking mode for the chat template.

A thought stands in `<think>` tags, the common convention. Templates are asked for the mode that was served.
"""

from typing import Any

from feedback_store.rows.demonstrations import DemonstrationRow, PromptRow
from feedback_store.rows.pairs import PreferenceRow
from feedback_store.rows.thumbs import UnpairedRow


def trl_kto(row: UnpairedRow) -> dict[str, Any]:
    """For KTO: `prompt`, `completion`, `label`."""
    return {
        "prompt": row.messages,
        "completion": _said(row.thought, row.answer),
        "label": row.label,
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_preference(row: PreferenceRow) -> dict[str, Any]:
    """For DPO and reward models: `prompt`, `chosen`, `rejected`."""
    return {
        "prompt": row.messages,
        "chosen": _said(row.chosen.thought, row.chosen.answer),
        "rejected": _said(row.rejected.thought, row.rejected.answer),
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_sft(row: DemonstrationRow) -> dict[str, Any]:
    """For SFT: `prompt` and `completion`, so that only the completion is learned."""
    return {
        "prompt": row.messages,
        "completion": _said(row.thought, row.answer),
        "chat_template_kwargs": {"enable_thinking": row.think},
    }


def trl_prompt(row: PromptRow) -> dict[str, Any]:
    """For RLOO, GRPO and PPO: `prompt` alone."""
    return {"prompt": row.messages, "chat_template_kwargs": {"enable_thinking": row.think}}


def _said(thought: str | None, answer: str) -> list[dict[str, str]]:
    tagged = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    return [{"role": "assistant", "content": tagged + answer}]
