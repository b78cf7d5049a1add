"""导览页面的全部中文文字。"""

from assistant.page.i18n.tour_texts import TourTexts

TOUR_CHINESE = TourTexts(
    code="zh",
    title="工作原理",
    to_chat="去聊天",
    intro_title="文字接龙怎样变成助手",
    intro="ChatGPT 是一步一步做出来的，每一步都建立在一个说法之上。这里用小到本机就能运行的模型逐一验证。"
    "有的你可以亲手试，用的是 490 万个参数的入门模型，试了什么都不会保存；除一个外都有测量结果，"
    "有些是在同样方法做出的更小的模型上，或者在别人做的 SmolLM2 上测的。",
    contents="全部说法",
    live="可以试",
    titles={
        "word_chain": "回答是一串词元，每一个都是抽出来的",
        "base_and_assistant": "基座接着写，助手来回答",
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
        "再抽一次，同一个问题常常会有另一个回答。种子是抽取的编号：同一个种子抽出同样的回答。",
        "base_and_assistant": "基座读过的是原始文本：笔记、表格，还有许多问题，后面跟着解答或下一个问题；"
        "也有一些对话，带着思考，还有婉拒的问题。所以它可能像文本里那样回答，可能接着提问，也可能写起笔记。微调之后，它大多会回答。",
        "scarce_pairs": "问题和答案要人一条条写，原始文本却是现成的。所以先让模型读原始文本，之后需要的问答就少了。"
        "这里的原始文本是编出来的，里面有许多解好的例题，像课本一样。",
        "two_languages": "只用一种语言微调，再用两种语言提问。按这个说法，两种语言共有的东西只需要学一次。",
        "range_and_data": "参数的数量决定模型可能是哪些函数，数据从中挑选。"
        "范围太小或数据太少，都会在没见过的文本上显出来。",
        "loss_and_optimisation": "损失衡量一个函数有多差，优化器去找更好的。学习率太低，来不及找到；太高，就会发散。",
        "votes_and_rows": "能看出哪个更好的一票，会变成一行训练数据。投一票，看看变成哪一行。"
        "这一屏只供尝试，没有测量。",
        "occasionally_good": "模型回答许多次，得分高的回答会变得更可能。如果一次也答不好，就没有什么可以变得更可能。",
        "reward_model_saves_people": "奖励模型从少量评价中学会像人一样评价，然后给成千上万个没人读过的回答打分。",
        "chain_of_thought": "每一步都容易从前面的步骤推出来。没有步骤，模型只能一下子猜出答案。"
        "入门模型只熟悉它自己说法的题，换成你的说法，想不想都常常做错。",
        "alignment_beats_size": "人们更喜欢对齐过的小模型，而不是没有对齐的大得多的模型（InstructGPT，2022）。"
        "这里比较 120 万参数和 490 万参数的两个模型。",
    },
    next_format="下一个：{title}",
    to_start="回到开头",
    ask="提问",
    limit_format="写满了：最多 {most} 个字符。",
    examples="例子",
    starting="正在唤醒入门模型……",
    chain_questions=("你是谁？", "你能做什么？", "什么是奖励模型？"),
    what_next="接下来可能是（可以抽，也可以点一个）",
    take_format="选“{token}”，概率 {share}",
    draw="抽下一个词元",
    draw_all="一直抽到结束",
    chain_over={"end": "“结束”：回答完了。", "length": "到此为止，一直没有出现“结束”。"},
    seed_format="种子 {seed} · 底色越深，这个词元越不可能",
    drawn_seed_format="种子 {seed}",
    other_seed_format="换种子 {seed} 重新开始",
    same_seed="用同一个种子重新开始",
    drawn="已经抽出的回答（温度 1）",
    different_format="{count} 个回答，{different} 种说法",
    messages=("你是谁？", "你好", "小明有12个苹果。"),
    sides={"base": "基座", "v1": "v1（微调后）", "on": "开启思考", "off": "关闭思考"},
    sides_help={
        "base": "读过原始文本；你的话对它来说是一段文本的开头，它接着写",
        "v1": "同一个基座，用“问题加答案”微调过；你的话对它来说是一个问题",
        "on": "先写步骤，再给答案",
        "off": "直接给答案",
    },
    aligned_format="{version}（正在这里服务）：又用反馈训练过（{stage}）",
    no_aligned="入门模型不带用反馈训练过的版本。在这里用点赞点踩训练一个并发布，它就会出现在这两个旁边。",
    tokens_format="{count} 个词元",
    problems=("347+285等于多少？", "小明买了4袋苹果，每袋6个。后来吃了5个。还剩多少个苹果？"),
    vote_questions=(
        "小明买了4袋苹果，每袋6个。后来吃了5个。还剩多少个苹果？",
        "小刚搬了9袋米，每袋重10千克。还有一箱菜重28千克。之后卖掉43千克。最后剩下多少千克？",
    ),
    write_two="写两个回答",
    answer_format="回答 {letter}",
    better="或者写一个更好的回答",
    replace_format="用它代替回答 {letter}",
    row_kinds={
        "trl-kto": "一个回答，好或不好：kto 和 reward 从中学习。",
        "trl-preference": "一对回答，一个较好，一个较差：dpo（从成对回答学）和 reward 这两个阶段从中学习。",
        "trl-sft": "一个供模仿的回答：sft（用回答微调）和 correct 这两个阶段从中学习。",
    },
    no_row="这不会变成数据：它没有说哪一个更好。给两个回答各点一次赞或踩，就各成一行。",
    same_answers="这不会变成数据：两个回答一样，没有哪个更好。",
    thought_stays="这一对的两边都保留模型的思考：只有回答不同，学的也只是这个不同。",
    empty_correction="请先写一个更好的回答。",
    not_stored="你在这里做的一切都不会保存。",
    verdicts={"held": "成立。", "partly": "部分成立。", "not held": "不成立。", "untested": "没能检验。"},
    is_met={True: "看到了：", False: "没有看到："},
    enlarge="点击放大",
    measured="测量结果",
    not_measured="这个说法还没有测量。",
    not_here="测量结果不在这个安装包里，请看源代码中的 docs/claims.md。",
    plot_format="测量结果图：{title}",
    again_format="测量于 {date}。重新测量：",
    figures_help="图表和数字里，方括号是换一批题时数字可能的范围（95% 区间；评价的人是模拟的），"
    "重新训练一次差别可能更大；0.3M 指 30 万个参数；"
    "留出的文本和任务是训练时没见过的；v1 是基座经过 SFT（用“问题加答案”微调）之后的版本；"
    "贪心回答每次都取最可能的词元；pass@8 是抽样八个回答至少答对一次的比例；奈特是“意外程度”的单位；"
    "适配器是模型里被训练的一小部分，其余不动，秩是它的大小；预热是学习率上升的那段训练；种子决定每次随机抽取。"
    "全部数字和测量方法见源代码中的 docs/claims.zh.md。",
)
