"""The people and things of the word problems."""

from alignment.starter.tasks.drawn_task import Language

NAMES: dict[Language, tuple[str, ...]] = {
    "en": (
        "Tom", "Anna", "Ben", "Lucy", "Sam", "Mia", "Jack", "Emma", "Leo", "Nina",
        "Max", "Ella", "Paul", "Rosa", "Dan", "Kate", "Adam", "Ivy", "Noah", "Zoe",
        "Omar", "Lily", "Hugo", "Ruth", "Ravi", "Sara", "Luke", "Maya", "Eric", "June",
    ),
    "zh": (
        "小明", "小红", "小华", "小丽", "小军", "小芳", "小刚", "小雨", "小林", "小亮",
        "小美", "小强", "小兰", "小东", "小雪", "小杰", "小燕", "小龙", "小梅", "小宇",
    ),
}  # fmt: skip

ENGLISH = {
    "fruit": (
        ("apple", "apples"),
        ("orange", "oranges"),
        ("pear", "pears"),
        ("lemon", "lemons"),
        ("plum", "plums"),
    ),
    "toys": (
        ("marble", "marbles"),
        ("ball", "balls"),
        ("sticker", "stickers"),
        ("card", "cards"),
        ("coin", "coins"),
    ),
    "school": (("pencil", "pencils"), ("pen", "pens"), ("notebook", "notebooks"), ("eraser", "erasers")),
    "baked": (("cookie", "cookies"), ("muffin", "muffins"), ("cake", "cakes"), ("roll", "rolls")),
    "plants": (("tree", "trees"), ("rose", "roses"), ("tulip", "tulips"), ("bush", "bushes")),
    "animals": (("sheep", "sheep"), ("cow", "cows"), ("goat", "goats"), ("duck", "ducks")),
}
"""Category → (singular, plural) of each thing."""

CHINESE = {
    "fruit": (("个", "苹果"), ("个", "橘子"), ("个", "梨"), ("个", "桃子"), ("个", "柠檬")),
    "toys": (("颗", "弹珠"), ("个", "皮球"), ("张", "贴纸"), ("张", "卡片"), ("枚", "硬币")),
    "school": (("支", "铅笔"), ("支", "钢笔"), ("本", "笔记本"), ("块", "橡皮")),
    "baked": (("个", "面包"), ("个", "蛋糕"), ("块", "饼干"), ("个", "馒头")),
    "plants": (("棵", "树"), ("株", "玫瑰"), ("株", "郁金香"), ("棵", "白菜")),
    "animals": (("只", "羊"), ("头", "牛"), ("只", "鸭"), ("只", "鹅")),
}
"""Category → (measure word, noun) of each thing."""
