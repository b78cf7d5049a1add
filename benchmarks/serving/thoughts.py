"""How many of a model's answers have a separate thought, where thinking is asked for.

    python -m benchmarks.serving.thoughts --url http://127.0.0.1:7860 [--model thumbtune] [--tokens 400] [--show]

Asks a running app 40 varied questions over its API, with thinking. An answer counts if both its thought and its answer
have text, and it ended by itself. Nothing is rated, but the replies are stored: use a home of
its own. Exit code 1 if fewer than 90 % of the answers count: then the model's card should say that it does not think.
"""

import argparse
import asyncio
import sys
from typing import Any

import httpx

QUESTIONS = """\
What is the capital of France?
What is 17 + 26?
Anna has 12 apples and gives 5 to Tom. How many has she left?
Why is the sky blue?
Write a short poem about autumn.
Explain photosynthesis in two sentences.
What is a token in a language model?
Is a whale a fish?
Which is heavier, a kilogram of iron or a kilogram of feathers?
Name three countries in South America.
Rewrite this sentence more politely: Give me the report now.
What day comes after Tuesday?
How do I boil an egg?
Write an email asking my boss for a day off.
What is the square root of 81?
Who wrote Romeo and Juliet?
Summarise in one sentence: The meeting was moved from Monday to Thursday because the room was not free.
A train travels 60 miles in 1.5 hours. What is its speed?
What is the opposite of generous?
Translate "good morning" into Spanish.
Give me three tips for sleeping better.
What is the largest planet in the solar system?
If all cats are animals and Tom is a cat, is Tom an animal?
Write a Python function that adds two numbers.
How many days are there in February in a leap year?
What should I cook with rice, eggs and tomatoes?
Correct the grammar: He don't likes apples.
Tell me a joke.
What is the difference between weather and climate?
Sort these numbers: 8, 3, 11, 5.
Why do leaves fall in autumn?
What is the boiling point of water in Celsius?
Should I walk or drive to a shop that is 300 metres away?
Explain recursion to a child.
Make this shorter: Due to the fact that it was raining, we decided that we would stay at home.
What does a reward model do?
How many legs do three spiders have?
Give a title for a story about a lost dog.
What is 8 times 7?
Who are you?
""".splitlines()
AT_ONCE = 8
NEEDED = 0.9


async def ask(client: httpx.AsyncClient, question: str, seed: int, options: Any) -> Any:
    """The first choice of a completion."""
    body = {
        "model": options.model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": options.tokens,
        "seed": seed,
        "chat_template_kwargs": {"enable_thinking": True},
    }
    response = await client.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    return response.json()["choices"][0]


def has_thought(choice: Any) -> bool:
    """Whether a reply ended by itself, with a thought and an answer apart."""
    message = choice["message"]
    texts = (message.get("reasoning_content") or "", message["content"])
    return choice["finish_reason"] == "stop" and all(text.strip() for text in texts)


async def measure(options: Any) -> int:
    """Ask every question; the number of replies with a thought."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def ask_in_turn(number: int, question: str) -> Any:
        async with limit:
            return await ask(client, question, number, options)

    headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
    async with httpx.AsyncClient(base_url=options.url, headers=headers, timeout=600) as client:
        choices = await asyncio.gather(*(ask_in_turn(*entry) for entry in enumerate(QUESTIONS)))
    if options.show:
        for question, choice in zip(QUESTIONS, choices, strict=True):
            message = choice["message"]
            print(f"{question}\n  {message.get('reasoning_content')!r}\n  {message['content']!r}")
    return sum(map(has_thought, choices))


def main() -> None:
    """Measure, print, and exit by the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", default="thumbtune")
    parser.add_argument("--key", default="")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--show", action="store_true", help="print every reply")
    options = parser.parse_args()
    count = asyncio.run(measure(options))
    print(f"{count} of {len(QUESTIONS)} replies have a thought apart from the answer")
    sys.exit(count < NEEDED * len(QUESTIONS))


if __name__ == "__main__":
    main()
