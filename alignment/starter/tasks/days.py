"""Questions about days of the week and about times of the day, on one 24-hour day."""

import random
from functools import cache
from itertools import product

from alignment.starter.tasks.arithmetic import PHRASING_TEST_SHARE, casual, gives_away
from alignment.starter.tasks.columns import WORDS
from alignment.starter.tasks.drawn_task import DrawnTask, Language, Split, split_of, user

KINDS = ("calendar", "duration")

DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}

_CALENDAR: dict[tuple[Language, bool], tuple[str, ...]] = {
    ("en", True): (
        "Which day is {n} {days} after {day}?",
        "What day comes {n} {days} after {day}?",
        "What day of the week is {n} {days} after {day}?",
        "Today is {day}. What day will it be in {n} {days}?",
        "Today is {day}. Which day is it {n} {days} from now?",
        "It is {day}. What day is it {n} {days} later?",
        "If today is {day}, what day will it be in {n} {days}?",
        "If today is {day}, which day is it {n} {days} later?",
        "Starting on {day}, which day is it after {n} {days}?",
        "Tell me which day comes {n} {days} after {day}.",
    ),
    ("en", False): (
        "Which day is {n} {days} before {day}?",
        "What day comes {n} {days} before {day}?",
        "What day of the week is {n} {days} before {day}?",
        "Today is {day}. What day was it {n} {days} ago?",
        "Today is {day}. Which day was it {n} {days} earlier?",
        "It is {day}. What day was it {n} {days} ago?",
        "If today is {day}, what day was it {n} {days} ago?",
        "If today is {day}, which day was it {n} {days} earlier?",
        "Tell me which day comes {n} {days} before {day}.",
        "It is {day} today. Which day was it {n} {days} ago?",
    ),
    ("zh", True): (
        "{day}之后{n}天是星期几？",
        "{day}过{n}天是星期几？",
        "{day}再过{n}天是星期几？",
        "今天是{day}，{n}天后是星期几？",
        "今天是{day}，再过{n}天是星期几？",
        "今天是{day}，过{n}天是周几？",
        "如果今天是{day}，那么{n}天后是星期几？",
        "如果今天是{day}，{n}天之后是周几？",
        "请问{day}再过{n}天是星期几？",
        "从{day}算起，{n}天后是星期几？",
    ),
    ("zh", False): (
        "{day}之前{n}天是星期几？",
        "{day}往前{n}天是星期几？",
        "{day}的{n}天前是星期几？",
        "今天是{day}，{n}天前是星期几？",
        "今天是{day}，{n}天之前是周几？",
        "今天是{day}，往前数{n}天是星期几？",
        "如果今天是{day}，那么{n}天前是星期几？",
        "如果今天是{day}，{n}天之前是星期几？",
        "请问{day}的{n}天前是星期几？",
        "从{day}往前数{n}天是星期几？",
    ),
}

_DURATION: dict[tuple[Language, str], tuple[str, ...]] = {
    ("en", "between"): (
        "How long is it from {start} to {end}?",
        "How much time is there between {start} and {end}?",
        "How much time passes from {start} to {end}?",
        "A film starts at {start} and ends at {end}. How long is it?",
        "A class runs from {start} to {end}. How long does it take?",
        "A train leaves at {start} and arrives at {end}. How long is the trip?",
        "The shop opens at {start} and closes at {end}. How long is it open?",
        "From {start} to {end}, how long is that?",
        "A meeting begins at {start} and is over at {end}. How long does it last?",
    ),
    ("en", "after"): (
        "What time is it {span} after {start}?",
        "What time is {span} later than {start}?",
        "It is {start}. What time will it be in {span}?",
        "A film starts at {start} and lasts {span}. When does it end?",
        "A train leaves at {start} and takes {span}. When does it arrive?",
        "A class begins at {start} and takes {span}. When is it over?",
        "It is {start} now. What time is it {span} later?",
    ),
    ("en", "before"): (
        "What time is it {span} before {end}?",
        "What time is {span} earlier than {end}?",
        "It is {end}. What time was it {span} ago?",
        "A film ends at {end} and lasts {span}. When does it start?",
        "A train arrives at {end} after {span}. When did it leave?",
        "A class lasts {span} and is over at {end}. When did it begin?",
        "It is {end} now. What time was it {span} earlier?",
    ),
    ("zh", "between"): (
        "从{start}到{end}有多长时间？",
        "从{start}到{end}经过了多久？",
        "{start}到{end}一共多长时间？",
        "电影{start}开始，{end}结束，一共放了多久？",
        "一节课从{start}上到{end}，上了多久？",
        "火车{start}出发，{end}到达，路上用了多长时间？",
        "商店{start}开门，{end}关门，营业多长时间？",
        "请问{start}和{end}相隔多久？",
        "会议{start}开始，{end}结束，开了多长时间？",
    ),
    ("zh", "after"): (
        "{start}过{span}是几点？",
        "{start}再过{span}是几点几分？",
        "现在是{start}，{span}后是几点？",
        "电影{start}开始，放了{span}，几点结束？",
        "火车{start}出发，开了{span}，几点到达？",
        "一节课{start}开始，上{span}，几点下课？",
        "现在是{start}，再过{span}是几点？",
    ),
    ("zh", "before"): (
        "{end}之前{span}是几点？",
        "{end}往前{span}是几点几分？",
        "现在是{end}，{span}前是几点？",
        "电影{end}结束，放了{span}，几点开始的？",
        "火车开了{span}，{end}到达，几点出发的？",
        "一节课上了{span}，{end}下课，几点开始的？",
        "现在是{end}，{span}之前是几点？",
    ),
}


def tasks(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """Draw one task of `kind` whose numbers and phrasing both belong to `split`."""
    if kind == "calendar":
        return _calendar(rng, language, split)
    task = _duration(rng, language, split)
    while split == "train" and gives_away(task.thought):
        task = _duration(rng, language, split)
    return task


@cache
def _phrasings(language: Language, split: Split, kind: str) -> tuple[tuple[str, str], ...]:
    """Pairs of what is unknown ("after", "before" or "between") and a phrasing, of one side."""
    if kind == "calendar":
        every = [
            ("after" if after else "before", text)
            for after in (True, False)
            for text in _CALENDAR[language, after]
        ]
    else:
        every = [
            (unknown, text)
            for unknown in ("between", "after", "before")
            for text in _DURATION[language, unknown]
        ]
    return tuple(
        (unknown, text)
        for unknown, text in every
        if split_of("phrasing", kind, language, text, test_share=PHRASING_TEST_SHARE) == split
    )


@cache
def _calendar_operands(split: Split) -> tuple[tuple[int, int], ...]:
    return tuple(
        (day, n) for day, n in product(range(7), range(1, 31)) if split_of("calendar", day, n) == split
    )


def _calendar(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    day, n = rng.choice(_calendar_operands(split))
    unknown, template = rng.choice(_phrasings(language, split, "calendar"))
    names = DAYS[language]
    target = (day + n if unknown == "after" else day - n) % 7
    day_name = names[day]
    if language == "zh" and rng.random() < 0.4:
        day_name = day_name.replace("星期", "周")
    question = template.format(n=n, day=day_name, days="day" if n == 1 else "days")
    return DrawnTask(
        kind="calendar",
        language=language,
        template=f"calendar/{language}/{template}",
        messages=user(casual(rng, question, language)),
        thought=_counted_days(day, n, 1 if unknown == "after" else -1, language),
        answer=names[target] + ("." if language == "en" else "。"),
        expected={"day": target, "operands": [day, n]},
        split=split,
    )


def _counted_days(day: int, n: int, step: int, language: Language) -> str:
    """Leave whole weeks out, and count the remaining days one by one."""
    words = WORDS[language]
    names = DAYS[language]
    weeks, rest = divmod(n, 7)
    sign = "+" if step > 0 else "-"
    # The sign stands before every number: the model decides the direction once, while the question is near.
    lines = [f"{names[day]}{sign}{n}"]
    if weeks:
        lines.append(f"{n}=7×{weeks}+{rest}")
    lines.append(f"{sign}0{words.colon}{names[day]}")
    lines += [f"{sign}{count}{words.colon}{names[(day + step * count) % 7]}" for count in range(1, rest + 1)]
    return "\n".join(lines)


def _duration(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    start, end = _times(rng)
    while split_of("duration", start, end) != split:
        start, end = _times(rng)
    unknown, template = rng.choice(_phrasings(language, split, "duration"))
    length = end - start
    question = template.format(start=_clock(start), end=_clock(end), span=_span(length, language))
    if unknown == "between":
        wanted, thought, answer = (
            f"{_clock(end)}-{_clock(start)}",
            _taken_away(end, start, language),
            _span(length, language),
        )
        minutes = length
    elif unknown == "after":
        wanted, thought, answer = (
            f"{_clock(start)}+{_clock(length)}",
            _put_on(start, length, language),
            _clock(end),
        )
        minutes = end
    else:
        wanted, thought, answer = (
            f"{_clock(end)}-{_clock(length)}",
            _taken_away(end, length, language),
            _clock(start),
        )
        minutes = start
    return DrawnTask(
        kind="duration",
        language=language,
        template=f"duration/{language}/{template}",
        messages=user(casual(rng, question, language)),
        # The unknown decides what is computed, so it stands first, with both operands lined up as clock times.
        thought=f"{_SOUGHT[language][unknown]}{WORDS[language].colon}{wanted}\n{thought}\n{answer}",
        answer=answer,
        expected={"minutes": minutes, "operands": [start, end]},
        split=split,
    )


def _times(rng: random.Random) -> tuple[int, int]:
    """Two times of one day in minutes since midnight, less than four hours apart."""
    grain = 5 if rng.random() < 0.8 else 1
    start = rng.randrange(6 * 60, 20 * 60, grain)
    length = rng.randrange(5, 60 if rng.random() < 0.4 else 240, grain)
    return start, start + length


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def _span(minutes: int, language: Language) -> str:
    hours, rest = divmod(minutes, 60)
    if language == "zh":
        parts = [f"{hours}小时"] * bool(hours) + [f"{rest}分钟"] * bool(rest)
        return "".join(parts)
    hour_word, minute_word = "hour" if hours == 1 else "hours", "minute" if rest == 1 else "minutes"
    return " ".join([f"{hours} {hour_word}"] * bool(hours) + [f"{rest} {minute_word}"] * bool(rest))


_SOUGHT: dict[Language, dict[str, str]] = {
    "en": {"between": "length", "after": "end", "before": "start"},
    "zh": {"between": "时长", "after": "结束", "before": "开始"},
}
_PARTS: dict[Language, tuple[str, str]] = {"en": ("minutes", "hours"), "zh": ("分", "时")}


def _put_on(start: int, length: int, language: Language) -> str:
    words, (minute, hour) = WORDS[language], _PARTS[language]
    total = start % 60 + length % 60
    carry, rest = divmod(total, 60)
    line = f"{start % 60:02}+{length % 60:02}={total:02}"
    if carry:
        line += f"{words.comma}{total}-60={rest:02}"
    hours = start // 60 + length // 60 + carry
    return (
        f"{minute}{words.colon}{line}{words.comma}{words.carry}{carry}\n"
        f"{hour}{words.colon}{start // 60}+{length // 60}+{carry}={hours}"
    )


def _taken_away(late: int, early: int, language: Language) -> str:
    words, (minute, hour) = WORDS[language], _PARTS[language]
    left, borrow = late % 60 - early % 60, 0
    line = f"{late % 60:02}-{early % 60:02}"
    if left < 0:
        left, borrow = left + 60, 1
        line += f"<0{words.comma}{late % 60 + 60}-{early % 60:02}={left:02}"
    else:
        line += f"={left:02}"
    return (
        f"{minute}{words.colon}{line}{words.comma}{words.borrow}{borrow}\n"
        f"{hour}{words.colon}{late // 60}-{early // 60}-{borrow}={late // 60 - early // 60 - borrow}"
    )
