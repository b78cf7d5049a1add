"""Check answers to drawn tasks of the starter as a suite's checks do."""

from alignment.starter.suite_files import suite_task
from alignment.starter.tasks.drawn_task import DrawnTask
from alignment.suites.task_file import Verdict, judge


def check(task: DrawnTask, answer: str) -> Verdict:
    """The verdict of the task's checks."""
    return judge(suite_task(task), answer)
