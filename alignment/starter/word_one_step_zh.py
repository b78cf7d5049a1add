"""The Chinese side of `word_one_step_en`: the same stories of one step, told in Chinese."""

from alignment.starter.word_plans import Story
from alignment.starter.word_stories_zh import YUAN

STORIES = {
    "shop": Story(
        "fruit",
        (
            "商店有{a}{m}{thing}，卖了{b}{m}。",
            "水果店里有{a}{m}{thing}，卖出{b}{m}。",
            "店里原有{a}{m}{thing}，今天卖掉{b}{m}。",
        ),
        labels=("剩下的{thing}",),
        first_asks=("还剩多少{m}？", "还剩多少{m}{thing}？", "店里还有多少{m}{thing}？"),
    ),
    "giving": Story(
        "toys",
        (
            "{name}有{a}{m}{thing}，给了{other}{b}{m}。",
            "{name}有{a}{m}{thing}，送给{other}{b}{m}。",
            "盒子里有{a}{m}{thing}，{name}拿出{b}{m}给{other}。",
        ),
        labels=("剩下的{thing}",),
        first_asks=("还剩多少{m}？", "还剩多少{m}{thing}？", "现在还有几{m}{thing}？"),
    ),
    "fewer": Story(
        "school",
        (
            "{name}有{a}{m}{thing}，{other}比{name}少{b}{m}。",
            "{name}有{a}{m}{thing}。{other}的{thing}比{name}少{b}{m}。",
            "{name}买了{a}{m}{thing}，{other}比{name}少买{b}{m}。",
        ),
        labels=("{other}的{thing}",),
        first_asks=("{other}有多少{m}？", "{other}有多少{m}{thing}？", "{other}有几{m}{thing}？"),
    ),
    "gap": Story(
        "toys",
        (
            "{name}有{a}{m}{thing}，{other}有{b}{m}。",
            "{name}有{a}{m}{thing}，{other}只有{b}{m}。",
            "{name}收集了{a}{m}{thing}，{other}收集了{b}{m}。",
        ),
        labels=("相差的{thing}",),
        first_asks=(
            "{name}比{other}多多少{m}？",
            "{name}比{other}多几{m}{thing}？",
            "{other}比{name}少多少{m}{thing}？",
        ),
    ),
    "two_groups": Story(
        ("人", "个人", "名学生", "个孩子", "名同学"),
        (
            "学校有男生{a}人，女生{b}人。",
            "一所学校有{a}名女生和{b}名男生。",
            "体育俱乐部里有{a}名女生、{b}名男生。",
        ),
        labels=("一共的人数",),
        first_asks=("一共有多少人？", "共有多少人？", "男生和女生一共多少人？"),
    ),
    "price_more": Story(
        YUAN,
        (
            "一顶帽子{a}元，一件外套比它贵{b}元。",
            "帽子的价钱是{a}元，外套比帽子贵{b}元。",
            "{name}的帽子{a}元，外套比帽子多{b}元。",
        ),
        labels=("外套的价钱",),
        first_asks=("外套多少元？", "外套要多少钱？", "外套的价钱是多少元？"),
    ),
    "two_days": Story(
        "fruit",
        (
            "农民周一摘了{a}{m}{thing}，周二摘了{b}{m}。",
            "{name}上午摘了{a}{m}{thing}，下午摘了{b}{m}。",
            "{name}摘了{a}{m}{thing}，{other}摘了{b}{m}。",
        ),
        labels=("一共的{thing}",),
        first_asks=("一共有多少{m}？", "一共摘了多少{m}{thing}？", "合起来是几{m}{thing}？"),
    ),
    "times_as_many": Story(
        "toys",
        (
            "{name}有{a}{m}{thing}，{other}的{thing}是{name}的{b}倍。",
            "{name}有{a}{m}{thing}。{other}的{thing}有{name}的{b}倍那么多。",
            "{name}收集了{a}{m}{thing}，{other}收集的是{name}的{b}倍。",
        ),
        labels=("{other}的{thing}",),
        first_asks=("{other}有多少{m}？", "{other}有多少{m}{thing}？", "{other}有几{m}{thing}？"),
    ),
    "price_each": Story(
        YUAN,
        (
            "一张票{a}元，{name}买了{b}张。",
            "每张票{a}元。{name}要买{b}张。",
            "{name}买了{b}张票，每张{a}元。",
        ),
        labels=("花费",),
        first_asks=("{name}要付多少元？", "一共要多少钱？", "一共多少元？"),
    ),
    "shared": Story(
        "toys",
        (
            "把{a}{m}{thing}平均分给{b}个小朋友。",
            "{name}把{a}{m}{thing}平均分给{b}个朋友。",
            "{b}个同学平均分{a}{m}{thing}。",
        ),
        labels=("每人的{thing}",),
        first_asks=("每人分到多少{m}？", "每人分到多少{m}{thing}？", "每个人得到几{m}{thing}？"),
    ),
    "chairs": Story(
        ("把", "把椅子", "椅子"),
        (
            "{a}把椅子摆成{b}排，每排一样多。",
            "{name}把{a}把椅子平均摆成{b}排。",
            "教室里有{a}把椅子，平均放成{b}排。",
        ),
        labels=("每排的椅子",),
        first_asks=("每排有多少把椅子？", "每排有几把？", "一排有多少把椅子？"),
    ),
    "one_costs": Story(
        YUAN,
        (
            "{b}{m}{thing}一共{a}元，每{m}价钱一样。",
            "{name}买{b}{m}同样的{thing}花了{a}元。",
            "{name}用{a}元买了{b}{m}一样的{thing}。",
        ),
        labels=("一{m}的价钱",),
        first_asks=("每{m}{thing}多少元？", "一{m}{thing}要多少钱？", "一{m}{thing}的价钱是多少元？"),
        things="school",
    ),
    "book_days": Story(
        ("天",),
        (
            "一本书有{a}页，{name}每天读{b}页。",
            "{name}每天看{b}页书，这本书共{a}页。",
            "{name}有{a}页书要读，每天读{b}页。",
        ),
        labels=("需要的天数",),
        first_asks=("多少天能读完？", "几天可以看完？", "{name}读完要多少天？"),
    ),
    "ribbon": Story(
        ("段",),
        (
            "一根{a}米长的彩带剪成{b}米长的小段。",
            "{name}把{a}米长的彩带剪成小段，每段{b}米。",
            "一根铁丝长{a}米，每{b}米剪成一段。",
        ),
        labels=("段数",),
        first_asks=("可以剪成多少段？", "一共有几段？", "能剪几段？"),
    ),
}
