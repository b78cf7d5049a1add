"""What goes wrong at an admin's levers, in Chinese: sentences of the registry's, the loop's and the live comparison's.

As in `loop_chinese.py`: English on the left, as `alignment` and `assistant` write it, with named places.
"""

ERRORS = {
    # Versions
    "There is no version {version} in {home}. Known versions: {known}.":
        "{home} 里没有版本 {version}。已有的版本：{known}。",
    "There is no version {version} in {home}. Known versions: {known}. It is the released one: bring its folder back, "
    "or release another with `python -m alignment release`.":
        "{home} 里没有版本 {version}，而它正是当前使用的版本。请恢复它的文件夹，或用 `python -m alignment release` "
        "发布另一个版本。已有的版本：{known}。",
    "none yet": "还没有",
    "Version {version} in {home} is damaged: {why}. Restore it, or release another version.":
        "{home} 里的版本 {version} 已损坏：{why}。请恢复它，或发布另一个版本。",
    "its manifest.json cannot be read ({details})": "读不出 manifest.json（{details}）",
    "{path} cannot be read ({details})": "读不出 {path}（{details}）",
    "{path} is not the file that was written": "{path} 与当初写入的文件不同",
    "{version} is a reward model: it scores replies and cannot chat. Release a version trained with it, for example by "
    "`python -m alignment ppo`.":
        "{version} 是评分模型：它只给回答打分，不能对话。请发布用它训练出的版本，例如用 `python -m alignment ppo`。",
    "There is no earlier release to go back to.": "之前没有发布过别的版本，无法回退。",
    "{path} cannot be read ({details}). It names the served version: restore it from a backup, or delete it and "
    "release a version again with `python -m alignment release`.":
        "读不出 {path}（{details}）。它记录当前使用的版本：请从备份恢复，或删除它，再用 `python -m alignment release` "
        "重新发布一个版本。",
    # Levers
    "{path} cannot be written ({details}), and what cannot be traced is not done. Make room for it, or correct its "
    "permissions.": "{path} 无法写入（{details}）；没有记录的操作不会执行。请腾出空间，或修正它的权限。",
    # Cycles
    "`{command}` did not end: {details}.": "`{command}` 没有结束：{details}。",
    "`{command}` failed.": "`{command}` 失败了。",
    "A cycle needs packages that are not installed here: {details}. Install them with `{command}`, or run cycles on "
    "another machine.": "循环需要这里没有安装的软件包：{details}。请用 `{command}` 安装，或在另一台机器上运行循环。",
    "A cycle is at work already. Wait until it has ended, or cancel it.": "已有一个循环在运行。请等它结束，或取消它。",
    # Live comparisons
    "trial: {what}": "{what}",
    "A share of {number} % of conversations is not possible: give 1 to 100.":
        "不能让 {number}% 的对话参与：请填 1 到 100。",
    "A share of {number} of conversations is not possible: give more than 0 and at most 1.":
        "参与对话的份额不能是 {number}：须大于 0，最多为 1。",
    "{path} cannot be read ({details}). Delete it, which ends the live comparison, and start another.":
        "读不出 {path}（{details}）。请删除它（在线对比随之结束），再开始新的对比。",
    "{candidate} is being compared with {released} already. Wait until that has ended, or end it with `{command}`.":
        "{candidate} 已在与 {released} 对比。请等它结束，或用 `{command}` 结束它。",
    "There is nothing to compare {candidate} with: {released} is released.":
        "没有可与 {candidate} 对比的版本：当前使用的是 {released}。",
    "There is nothing to compare {candidate} with: nothing is released.":
        "没有可与 {candidate} 对比的版本：还没有发布任何版本。",
    "The gate has not promoted {candidate} over {released}, so nobody is served by it. Run `python -m alignment "
    "cycle`, or release it by hand with `python -m alignment release`.":
        "门槛还没有认定 {candidate} 胜过 {released}，所以它不会对外服务。请运行 `python -m alignment cycle`，"
        "或用 `python -m alignment release` 手动发布。",
    "{candidate} serves {share} % of conversations beside {released}":
        "{share}% 的对话由 {candidate} 回答，其余由 {released} 回答",
    "no live comparison is under way": "没有正在进行的在线对比",
}  # fmt: skip
