"""The English word problems that have one step only: each is an opening and one of `first_asks`."""

from alignment.starter.word_plans import Story
from alignment.starter.word_stories_en import DOLLARS

STORIES = {
    "shop": Story(
        "fruit",
        (
            "A shop has {a} {things} and sells {b}.",
            "There are {a} {things} in a shop. {b} of them are sold.",
            "Of {a} {things}, a shop sells {b}.",
        ),
        labels=("{things} left",),
        first_asks=(
            "How many are left?",
            "How many {things} are left?",
            "How many {things} does the shop still have?",
        ),
    ),
    "giving": Story(
        "toys",
        (
            "{name} has {a} {things} and gives {b} to {other}.",
            "{name} has {a} {things}. {name} gives {other} {b} of them.",
            "From a box of {a} {things}, {name} takes {b} for {other}.",
        ),
        labels=("{things} left",),
        first_asks=("How many are left?", "How many {things} are left?", "How many {things} remain?"),
    ),
    "fewer": Story(
        "school",
        (
            "{name} has {a} {things}. {other} has {b} fewer than {name}.",
            "{name} has {a} {things}, and {other} has {b} fewer.",
            "{name} owns {a} {things} and {other} owns {b} fewer.",
        ),
        labels=("{things} of {other}",),
        first_asks=(
            "How many does {other} have?",
            "How many {things} does {other} have?",
            "How many {things} has {other} got?",
        ),
    ),
    "gap": Story(
        "toys",
        (
            "{name} has {a} {things} and {other} has {b}.",
            "{name} has {a} {things}. {other} has only {b}.",
            "{name} collects {a} {things}, while {other} collects {b}.",
        ),
        labels=("how many more",),
        first_asks=(
            "How many more does {name} have?",
            "How many more {things} does {name} have than {other}?",
            "How many fewer {things} does {other} have than {name}?",
        ),
    ),
    "two_groups": Story(
        ("child", "children", "student", "students"),
        (
            "There are {a} boys and {b} girls in a school.",
            "A school has {a} girls and {b} boys.",
            "In a sports club there are {a} girls and {b} boys.",
        ),
        labels=("children in all",),
        first_asks=(
            "How many children are there?",
            "How many children are there in all?",
            "How many children is that altogether?",
        ),
    ),
    "price_more": Story(
        DOLLARS,
        (
            "A cap costs {a} dollars. A jacket costs {b} dollars more.",
            "{name}'s cap costs {a} dollars, and the jacket is {b} dollars more expensive.",
            "A cap is {a} dollars, and a jacket is {b} dollars more than the cap.",
        ),
        labels=("price of the jacket",),
        first_asks=(
            "How much is the jacket?",
            "How much does the jacket cost?",
            "What is the price of the jacket in dollars?",
        ),
    ),
    "two_days": Story(
        "fruit",
        (
            "A farmer picks {a} {things} on Monday and {b} on Tuesday.",
            "{name} picks {a} {things} in the morning and {b} in the afternoon.",
            "{name} picks {a} {things} and {other} picks {b}.",
        ),
        labels=("{things} in all",),
        first_asks=(
            "How many are there in all?",
            "How many {things} are picked altogether?",
            "How many {things} is that together?",
        ),
    ),
    "times_as_many": Story(
        "toys",
        (
            "{name} has {a} {things}. {other} has {b} times as many.",
            "{name} has {a} {things}, and {other} has {b} times as many as {name}.",
            "{name} owns {a} {things} and {other} owns {b} times that number.",
        ),
        labels=("{things} of {other}",),
        first_asks=(
            "How many does {other} have?",
            "How many {things} does {other} have?",
            "How many {things} has {other} got?",
        ),
    ),
    "price_each": Story(
        DOLLARS,
        (
            "One ticket costs {a} dollars, and {name} buys {b} tickets.",
            "A ticket costs {a} dollars. {name} buys {b} of them.",
            "{name} buys {b} tickets at {a} dollars each.",
        ),
        labels=("cost",),
        first_asks=(
            "How much does {name} pay?",
            "How much is that in all?",
            "How many dollars does that cost?",
        ),
    ),
    "shared": Story(
        "toys",
        (
            "{a} {things} are shared equally among {b} children.",
            "{name} shares {a} {things} equally among {b} friends.",
            "{b} friends share {a} {things} equally.",
        ),
        labels=("{things} for each",),
        first_asks=(
            "How many does each one get?",
            "How many {things} does each get?",
            "How many {things} are there for each one?",
        ),
    ),
    "chairs": Story(
        ("chair", "chairs"),
        (
            "{a} chairs stand in {b} equal rows.",
            "{name} puts {a} chairs into {b} equal rows.",
            "A room has {a} chairs in {b} rows of the same length.",
        ),
        labels=("chairs in a row",),
        first_asks=(
            "How many chairs are in each row?",
            "How many chairs does one row have?",
            "How many chairs stand in a row?",
        ),
    ),
    "one_costs": Story(
        DOLLARS,
        (
            "{b} {things} cost {a} dollars in all, each the same.",
            "{name} pays {a} dollars for {b} {things} of the same price.",
            "For {b} identical {things}, {name} pays {a} dollars.",
        ),
        labels=("price of one",),
        first_asks=(
            "How much does one {thing} cost?",
            "How many dollars is one {thing}?",
            "What is the price of one {thing} in dollars?",
        ),
        things="school",
    ),
    "book_days": Story(
        ("day", "days"),
        (
            "A book has {a} pages, and {name} reads {b} pages a day.",
            "{name} reads {b} pages a day. The book has {a} pages.",
            "{name} has {a} pages to read and reads {b} pages every day.",
        ),
        labels=("days needed",),
        first_asks=(
            "How many days does it take?",
            "How many days does {name} need?",
            "After how many days is it all read?",
        ),
    ),
    "ribbon": Story(
        ("piece", "pieces"),
        (
            "A ribbon of {a} meters is cut into pieces of {b} meters.",
            "{name} cuts a ribbon of {a} meters into pieces of {b} meters each.",
            "A wire is {a} meters long. It is cut into pieces {b} meters long.",
        ),
        labels=("pieces",),
        first_asks=(
            "How many pieces are there?",
            "How many pieces is that?",
            "How many pieces does that make?",
        ),
    ),
}
