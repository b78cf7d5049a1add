"""导览页面的全部中文文字。"""

from assistant.page.i18n.tour_texts import TourTexts

TOUR_CHINESE = TourTexts(
    code="zh",
    title="工作原理",
    to_chat="去聊天",
    intro_title="文字接龙怎样变成助手",
    intro="ChatGPT 是一步一步做出来的，每一步都立在一个说法上。这里用一个小到本机就能运行的模型逐一验证："
    "starter，490 万个参数。有的您可以亲手试，其余的有测量结果。",
    contents="全部说法",
    live="可以试",
    titles={
        "word_chain": "回答是一串词元，每一个都是抽出来的",
        "base_and_assistant": "微调之前，模型只会接着写，不会回答",
        "scarce_pairs": "好的问答很少，原始文本很多",
        "two_languages": "用一种语言教会的，换一种语言也会",
        "range_and_data": "参数太少学不会，数据太少会死记",
        "loss_and_optimisation": "学习是一种搜索，也可能找不到",
        "votes_and_rows": "评价只要点一下，写答案却要花功夫",
        "occasionally_good": "强化学习要求模型至少偶尔答对",
        "reward_model_saves_people": "奖励模型替人省力",
        "chain_of_thought": "写出步骤，难题就变容易",
        "alignment_beats_size": "对齐比变大更有用",
    },
    explanations={
        "word_chain": "模型给每个词元一个概率，然后抽一个。抽到“结束”，回答就完了。"
        "再抽一次，同一个问题会有另一个回答。",
        "base_and_assistant": "基座只读过原始文本，那里问题后面常常还是问题。用“问题加答案”微调之后，它才成为助手。",
        "scarce_pairs": "问题和答案要人一条条写，原始文本却是现成的。所以先让模型读原始文本，之后需要的问答就少了。",
        "two_languages": "只用一种语言微调，再用两种语言提问。两种语言共有的东西，只需要学一次。",
        "range_and_data": "参数的数量决定模型可能是哪些函数，数据从中挑选。"
        "范围太小或数据太少，都会在没见过的文本上显出来。",
        "loss_and_optimisation": "损失衡量一个函数有多差，优化器去找更好的。学习率太低，来不及找到；太高，就会发散。",
        "votes_and_rows": "每一票都会变成一行训练数据。给回答投一票，看看变成哪一行。",
        "occasionally_good": "模型回答许多次，得分高的回答会变得更可能。如果一次也答不好，就没有什么可以变得更可能。",
        "reward_model_saves_people": "奖励模型从少量评价中学会像人一样评价，然后给成千上万个没人读过的回答打分。",
        "chain_of_thought": "每一步都容易从前面的步骤推出来。没有步骤，模型只能一下子猜出答案。",
        "alignment_beats_size": "人们更喜欢对齐过的小模型，而不是没有对齐的大得多的模型（InstructGPT，2022）。"
        "这里比较 120 万参数和 490 万参数的两个模型。",
    },
    next_format="下一个：{title}",
    to_start="回到开头",
    verdicts={"held": "成立。", "partly": "部分成立。", "not held": "不成立。"},
    not_measured="这个说法还没有测量。",
    not_here="测量结果不在这个安装包里，请看源代码中的 docs/claims.md。",
    plot_format="测量结果图：{title}",
    again="重新测量：",
)
