"""The cards of the models that this program knows by name, and the neutral card of any other. Data alone."""

from assistant.bases.model_card import CardTexts, ModelCard

STARTER_CARD = ModelCard(
    name="starter",
    thinking="native",
    parameters=4_886_528,
    licence="apache-2.0",
    languages=("en", "zh"),
    # It is unsure of a few words that it has seldom written.
    sampling={"temperature": 0.3},
    texts={
        "en": CardTexts(
            greeting="What would you like to work out?",
            welcome="This is a teaching model with 4.9 million parameters. It knows sums, word problems in the "
            "wordings it was trained on, and a little about how machines learn. Anything else it declines or gets "
            "wrong.",
            examples=(
                "What is 347 + 285?",
                "What is overfitting?",
                "Anna buys 4 bags of apples with 6 in each bag. Then 5 of the apples are eaten. "
                "How many apples are left?",
                "What is a reward model?",
            ),
            examples_language="en",
            placeholder="Ask a sum, or how machines learn…",
            good_at="arithmetic to three digits, word problems of one or two steps in the wordings it was trained on, "
            "days and durations, how machines learn, and itself",
            not_good_at="everything else: facts, writing, and word problems in other words. It declines, or answers "
            "wrongly",
        ),
        "zh": CardTexts(
            greeting="今天想算点什么？",
            welcome="这是一个只有 490 万参数的教学模型。它会做算术，会做训练时见过的句式的应用题，"
            "也能讲一点机器是怎样学习的。问到别的，它会说不知道，或者答错。",
            examples=(
                "347+285等于多少？",
                "什么是过拟合？",
                "小明买了4袋苹果，每袋6个。后来吃了5个。还剩多少个苹果？",
                "什么是奖励模型？",
            ),
            examples_language="zh",
            placeholder="问一道算术题，或者机器是怎样学习的……",
            good_at="三位数以内的算术、训练时见过的句式的一两步应用题、日期与时长、机器如何学习，以及它自己",
            not_good_at="其他一切：常识、写作、换了说法的应用题。它会说不知道，或者答错",
        ),
    },
)

_SMOLLM2_EXAMPLES = (
    "Why is the sky blue?",
    "What is photosynthesis?",
    "Correct this sentence: He don't likes apples.",
    "Make this sentence shorter: Because it was raining, we decided to stay at home.",
)

SMOLLM2_CARD = ModelCard(
    name="SmolLM2-135M-Instruct",
    # Measured: see "How a model thinks" in docs/reference.md.
    thinking="none",
    parameters=134_515_008,
    licence="apache-2.0",
    languages=("en",),
    # The first two are its makers' own, on the model's page: at 0.3 with all tokens it is wrong more often. The penalty
    # keeps it out of loops ("la femme, la femme"), and costs no facts: `python -m benchmarks.serving.sampling`.
    sampling={"temperature": 0.2, "top_p": 0.9, "frequency_penalty": 0.4},
    texts={
        "en": CardTexts(
            greeting="What can I help you with?",
            welcome="You are chatting with a small English model of 135 million parameters. It explains common things "
            "and corrects or shortens sentences. It often gets facts wrong, and it cannot calculate.",
            examples=_SMOLLM2_EXAMPLES,
            examples_language="en",
            placeholder="Ask something…",
            good_at="explaining common things briefly, and correcting or shortening a sentence",
            not_good_at="calculating, long answers, and any language but English. It often gets facts wrong",
        ),
        "zh": CardTexts(
            greeting="请用英语提问",
            welcome="这是一个 1.35 亿参数的小模型，只懂英语，用中文提问会答得很差。它能解释常见的事物，"
            "也能改正或缩短英文句子。它常常弄错事实，也不会计算。",
            examples=_SMOLLM2_EXAMPLES,
            examples_language="en",
            placeholder="请用英语提问……",
            good_at="简短地解释常见的事物，改正或缩短英文句子",
            not_good_at="计算、较长的回答，以及英语以外的任何语言。它常常弄错事实",
        ),
    },
)

QWEN3_CARD = ModelCard(
    name="Qwen3",
    thinking="native",
    licence="apache-2.0",
    languages=("en", "zh"),
    texts={
        "en": CardTexts(
            greeting="What can I help you with?",
            welcome="You are chatting with a Qwen3 model. It answers questions, writes, translates, programs and "
            "calculates, best when it thinks first. The smaller it is, the more often it gets facts wrong.",
            examples=(
                "Explain in two sentences why the sky is blue.",
                "Translate into Chinese: Learning is easy, keeping is hard.",
                "A shop sells 3 pens for 4 euros. How much are 12 pens?",
                "Write a Python function that reverses a list.",
            ),
            examples_language="en",
            placeholder="Ask something…",
            good_at="general questions, writing, translating, programming and calculating, in English, Chinese and "
            "many other languages",
            not_good_at="recent events, and facts that few texts mention",
        ),
        "zh": CardTexts(
            greeting="有什么可以帮你的？",
            welcome="你正在和 Qwen3（千问 3）模型聊天。它能回答问题、写作、翻译、编程和计算，先思考再回答效果最好。"
            "模型越小，越容易弄错事实。",
            examples=(
                "用两句话解释天空为什么是蓝色的。",
                "把这句话译成英文：学起来容易，记得住难。",
                "商店里3支笔卖4元，12支笔多少钱？",
                "写一个把列表倒过来的 Python 函数。",
            ),
            examples_language="zh",
            placeholder="问点什么……",
            good_at="常识问题、写作、翻译、编程和计算，懂中文、英语和许多其他语言",
            not_good_at="近期发生的事，以及很少有人写到的事实",
        ),
    },
)

_NEUTRAL_EXAMPLES = {
    "en": (
        "What can you help me with?",
        "Explain in two sentences why the sky is blue.",
        "Rewrite this more politely: Give me the report now.",
        "Give me three tips for sleeping better.",
    ),
    "zh": (
        "你能帮我做些什么？",
        "用两句话解释天空为什么是蓝色的。",
        "把这句话改得更客气：马上把报告给我。",
        "怎样才能睡得更好？给我三条建议。",
    ),
}


def neutral_card(name: str, languages: tuple[str, ...] = (), licence: str = "") -> ModelCard:
    """The card of a model of which only these are known.

    Where the page's language is not among the model's, the page says so, and its examples are English if the model
    knows that.
    """

    def knows(code: str) -> bool:
        return not languages or any(language.split("-")[0].lower() == code for language in languages)

    examples_in_chinese = "zh" if knows("zh") or not knows("en") else "en"
    return ModelCard(
        name=name,
        licence=licence,
        languages=languages,
        texts={
            "en": CardTexts(
                greeting="What can I help you with?",
                welcome=f"You are chatting with {name}. Its answers can be wrong: check what matters."
                + ("" if knows("en") else " English is not among the languages that it lists."),
                examples=_NEUTRAL_EXAMPLES["en"],
                examples_language="en",
                placeholder="Ask something…",
            ),
            "zh": CardTexts(
                greeting="有什么可以帮你的？",
                welcome=f"你正在和 {name} 聊天。它的回答可能有误，重要的内容请核实。"
                + ("" if knows("zh") else "它的说明里没有列出中文，用中文提问可能答得不好。"),
                examples=_NEUTRAL_EXAMPLES[examples_in_chinese],
                examples_language=examples_in_chinese,
                placeholder="问点什么……",
            ),
        },
    )
