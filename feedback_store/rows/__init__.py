"""From what people said to training rows, by rules that have a name, a default and a reason (docs/explanation.md).

`unpaired_rows` and `unpaired` make rows of single thumbs, `preferences` pairs, `demonstrations` written answers, and
`prompts` what was asked. Only what people consented to becomes a row, and each row carries, where its text was served
here, the token ids that were served. `trl_*` turn a row into what TRL's trainers take.
"""

from feedback_store.rows.demonstrations import DemonstrationRow, PromptRow, demonstrations, prompts
from feedback_store.rows.pairs import PairSide, PreferenceRow, preferences
from feedback_store.rows.rules import Rules, held_out, normal_prompt
from feedback_store.rows.thumbs import RatedReply, UnpairedRow, class_balance, unpaired, unpaired_rows
from feedback_store.rows.trl_format import trl_kto, trl_preference, trl_prompt, trl_sft

__all__ = [
    "DemonstrationRow",
    "PairSide",
    "PreferenceRow",
    "PromptRow",
    "RatedReply",
    "Rules",
    "UnpairedRow",
    "class_balance",
    "demonstrations",
    "held_out",
    "normal_prompt",
    "preferences",
    "prompts",
    "trl_kto",
    "trl_preference",
    "trl_prompt",
    "trl_sft",
    "unpaired",
    "unpaired_rows",
]
