"""Tasks with checkable answers, as data: their files, and the checkers that their checks name."""
