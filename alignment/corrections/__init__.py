"""Learning from corrections without forgetting: other wordings of a corrected prompt, and answers that must stay."""
