"""Turn stored feedback into training rows.

There are four kinds of rows. `unpaired_rows` makes one row from the ratings of one reply, `preferences` makes pairs of
a better and a worse answer, `demonstrations` makes one row from each answer that a person wrote, and `prompts` returns
the user messages alone. Only feedback of people who consented to training is used. Which feedback counts and how
often is decided by `Rules`; docs/explanation.md gives the reasons for the defaults.

A row of a reply that was served here carries the token ids that were served, so that training sees exactly those.
The `trl_*` functions convert rows to the formats of TRL's trainers.
"""

from feedback_store.rows.demonstrations import DemonstrationRow, PromptRow, demonstrations, prompts
from feedback_store.rows.pairs import PairSide, PreferenceRow, last_corrections, preferences
from feedback_store.rows.prompt_matching import held_out, normal_prompt
from feedback_store.rows.rules import Rules
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
    "last_corrections",
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
