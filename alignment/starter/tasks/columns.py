"""Column arithmetic, written so that a very small model can follow it.

A column shows only its digits and the carry of the line before. Numbers of unequal length are lined up with leading
zeros, so that every digit of the result depends on few tokens at a fixed distance. The symbols are the same in both
languages; only the names of the columns differ.
"""

from dataclasses import dataclass

from alignment.starter.tasks.drawn_task import Language


@dataclass(frozen=True)
class ColumnWords:
    """The words and marks around the symbols of a worked column."""

    columns: tuple[str, ...]
    colon: str
    comma: str
    write: str
    carry: str
    borrow: str


WORDS: dict[Language, ColumnWords] = {
    "en": ColumnWords(("ones", "tens", "hundreds", "thousands"), ": ", ", ", "write ", "carry ", "borrow "),
    "zh": ColumnWords(("个位", "十位", "百位", "千位"), "：", "，", "写", "进", "借"),
}


def worked(sign: str, a: int, b: int, language: Language) -> str:
    """Work out `a sign b` line by line; the last line is "a+b=c" (of ×, the longer factor first).

    Signs are +, - (a >= b), × (at most two digits each) and the exact ÷.
    Two one-digit operands, a zero factor and a division within the table are known by heart: one line.
    """
    if sign == "+":
        return _worked_sum(a, b, language)
    if sign == "-":
        return _worked_difference(a, b, language)
    if sign == "÷":
        return f"{a}÷{b}={a // b}"
    return _worked_product(a, b, language)


def calculate(sign: str, a: int, b: int) -> int:
    """The value of `a sign b` for + - × and the exact ÷."""
    if sign == "+":
        return a + b
    if sign == "-":
        return a - b
    return a * b if sign == "×" else a // b


def lined_up(*numbers: int) -> list[str]:
    """The numbers as texts of one width, padded with leading zeros."""
    width = max(len(str(number)) for number in numbers)
    return [str(number).zfill(width) for number in numbers]


def _worked_sum(a: int, b: int, language: Language) -> str:
    final = f"{a}+{b}={a + b}"
    if a < 10 and b < 10:
        return final
    words = WORDS[language]
    top, bottom = lined_up(a, b)
    lines = [f"{top}+{bottom}"]
    carry = 0
    for place, (x, y) in enumerate(zip(reversed(top), reversed(bottom), strict=True)):
        total = int(x) + int(y) + carry
        addends = f"{x}+{y}" if place == 0 else f"{x}+{y}+{carry}"
        line = f"{words.columns[place]}{words.colon}{addends}={total}"
        carry = total // 10
        if place < len(top) - 1:
            line += f"{words.comma}{words.write}{total % 10}{words.comma}{words.carry}{carry}"
        lines.append(line)
    return "\n".join([*lines, final])


def _worked_difference(a: int, b: int, language: Language) -> str:
    final = f"{a}-{b}={a - b}"
    if a < 10:
        return final
    words = WORDS[language]
    top, bottom = lined_up(a, b)
    lines = [f"{top}-{bottom}"]
    digits = ""
    borrow = 0
    for place, (x, y) in enumerate(zip(reversed(top), reversed(bottom), strict=True)):
        taken = f"{y}" if place == 0 else f"{y}-{borrow}"
        left = int(x) - int(y) - borrow
        borrow = int(left < 0)
        # The comparison is written out, so that the model never has to decide before it sees both digits.
        work = f"{x}-{taken}<0{words.comma}1{x}-{taken}={left + 10}" if borrow else f"{x}-{taken}={left}"
        line = f"{words.columns[place]}{words.colon}{work}"
        if place < len(top) - 1:
            line += f"{words.comma}{words.borrow}{borrow}"
        lines.append(line)
        digits = str(left % 10) + digits
    if digits.startswith("0"):
        lines.append(f"{digits}={int(digits)}")
    return "\n".join([*lines, final])


def _worked_product(a: int, b: int, language: Language) -> str:
    long, short = (a, b) if len(str(a)) >= len(str(b)) else (b, a)
    final = f"{long}×{short}={a * b}"
    if long < 10 or short == 0:
        return final
    if short < 10:
        first = f"{long}×{short}" if long == a else f"{a}×{b}={long}×{short}"
        return "\n".join([first, *_product_columns(long, short, language), final])
    tens, ones = divmod(short, 10)
    by_tens = [
        f"{long}×{tens}",
        *_product_columns(long, tens, language),
        f"{long}×{tens}={long * tens}",
        f"{long}×{tens}0={long * tens * 10}",
    ]
    if ones == 0:
        return "\n".join([f"{long}×{short}", *by_tens])
    by_ones = [f"{long}×{ones}", *_product_columns(long, ones, language), f"{long}×{ones}={long * ones}"]
    total = _worked_sum(long * tens * 10, long * ones, language)
    return "\n".join([f"{long}×{short}", *by_ones, *by_tens, total, final])


def _product_columns(long: int, short: int, language: Language) -> list[str]:
    words = WORDS[language]
    tens, ones = divmod(long, 10)
    low, high = ones * short, tens * short
    first = f"{ones}×{short}={low}{words.comma}{words.write}{low % 10}{words.comma}{words.carry}{low // 10}"
    second = f"{tens}×{short}={high}{words.comma}{high}+{low // 10}={high + low // 10}"
    return [f"{words.columns[0]}{words.colon}{first}", f"{words.columns[1]}{words.colon}{second}"]
