"""The English text of every event and of every term. `describe` explains the places in braces."""

_ARMS = (
    "candidate {up} of {votes:#thumb|thumbs} up by {raters:#rater|raters}, released {released_up} of {released_votes} "
    "by {released_raters}; {finding}"
)

TEMPLATES = {
    "text": "{text}",
    "error": "{text}",
    "unexpected": "An unexpected error stopped the command: {kind}: {text}",
    "disk_full": "The disk is full. No version was written, and none that was there has changed. Free some space "
    "(what lies in HOME/training may be deleted, but an unfinished run goes on from it) and give the same command "
    "again: it goes on from its last whole checkpoint.",
    "out_of_memory": "Memory ran out. No version was written, and none that was there has changed. Close other "
    "programs, or let training take less: --max_length leaves the longest rows out, --memory bounds what it takes, "
    "and --quantize 4bit shrinks the base; --dry_run shows what it expects. The same command goes on from its last "
    "checkpoint.",
    # Versions
    "version_id": "{version}",
    "version_unknown": "There is no version '{version}' in {home}. Known versions: {known:, |none yet}.",
    "released_version_unknown": "There is no version '{version}' in {home}. Known versions: {known:, |none yet}. It is "
    "the released one: bring its folder back, or release another with `python -m alignment release`.",
    "version_damaged": "Version {version} in {home} is damaged: {why}. Restore it, or release another version.",
    "manifest_unreadable": "its manifest.json cannot be read ({error})",
    "manifest_of_another": "its manifest.json is that of {version}, and a folder bears the id of its version",
    "file_unreadable": "{path} cannot be read ({error})",
    "file_changed": "{path} is not the file that was written",
    "reward_model_released": "{version} is a reward model: it scores replies and cannot chat. Release a version "
    "trained with it, for example by `python -m alignment ppo`.",
    "no_earlier_release": "There is no earlier release to go back to.",
    "release_pointer_unreadable": "{path} cannot be read ({error}). It names the served version: restore it from a "
    "backup, or delete it and release a version again with `python -m alignment release`.",
    "exported": "{version} written to {path} ({megabytes:.3g} MB)",
    "pushed": "{version} uploaded: {url}",
    "first_version": "first version of this home",
    "released_by": "by {who}{why:?: }",
    "rolled_back": "rolled back from {version}",
    "rolled_back_by": "rolled back from {version} by {who}{why:?: }",
    "released_by_cycle": "cycle {number}: promoted by the gate over {released}",
    "released_by_live_comparison": "won its live comparison with {released}: {outcome}",
    # Admin actions
    "audit_unwritable": "{path} cannot be written ({error}), and what cannot be traced is not done. Make room for it, "
    "or correct its permissions.",
    "command_not_ended": "`{command}` did not end: {error}.",
    "command_failed": "`{command}` failed.{error:? }",
    "packages_missing": "A cycle needs packages that are not installed here: {packages:, }. Install them with "
    "`pip install -r requirements-train.txt`, or run cycles on another machine.",
    "cycle_running": "A cycle is running already. Wait until it has ended, or cancel it.",
    # Gate
    "gate_decision": "{verdict} {candidate} against {released} (look {look})",
    "gate_reason": "{measure} ({kind}): {difference:signed}{unit} [{low:signed}, {high:signed}] on "
    "{prompts:#prompt|prompts}, {gained} gained, {lost} lost; {finding}",
    "measure_better": "better; p = {p:.2g}, needed {level:.2g}",
    "measure_not_shown_better": "not shown to be better; p = {p:.2g}, needed {level:.2g}",
    "measure_worse": "worse: the whole interval lies below zero",
    "guard_not_worse": "not worse than the margin of {margin:signed}",
    "guard_worse": "worse: the whole interval lies below zero and reaches the margin of {margin:signed}",
    "guard_undecided": "undecided: the interval holds both zero and the margin of {margin:signed}",
    "too_few_prompts": "too few prompts: at least {needed} must be answered by both",
    "gate_at_first_look": "At a first look the gate would say: {decision}\n- {reasons:\n- }",
    "corrections_asked_again": "Corrections asked again: {holding} of {count} hold in {candidate}, {before} in "
    "{released}. Fixed: {fixed}. Lost: {lost}. Wrong as before: {wrong}.",
    "wordings_unused": "{count} of {of:#prompt|prompts} in the file of wordings {count:~is|are} no correction's, such "
    "as “{prompt}”: nothing is asked for {count:~it|them}",
    # Live comparison
    "live_started": "{candidate} serves {share:percent} % of conversations beside {released}",
    "live_under_way": "{candidate} is being compared with {released}: {outcome}",
    "live_ended": "the live comparison of {candidate} with {released} has ended ({verdict}): {why}",
    "live_none": "no live comparison is under way",
    "live_outcome": "{difference:points} points [{low:points}, {high:points}]: " + _ARMS,
    "live_outcome_unknown": "no difference yet: " + _ARMS,
    "live_too_little": "too little to decide: {missing:, }",
    "candidate_lacks_votes": "the candidate has {have} of {needed:#vote|votes}",
    "candidate_lacks_raters": "the candidate has {have} of {needed:#rater|raters}",
    "released_lacks_votes": "the released version has {have} of {needed:#vote|votes}",
    "released_lacks_raters": "the released version has {have} of {needed:#rater|raters}",
    "candidate_liked_more": "people like the candidate more, and would without any one rater",
    "candidate_liked_less": "people like the candidate less, and would without any one rater",
    "decided_by_one_rater": "clear of zero only by one rater's votes",
    "live_undecided": "undecided: the interval holds zero",
    "live_clock_behind": "{outcome}; the clock stands before {started}, when it began: thumbs on replies until then do "
    "not count",
    "candidate_is_released": "{version} is the released version",
    "other_version_released": "{version}, which takes no part in it, was released meanwhile",
    "version_gone": "{version} is not there any more",
    "live_stopped": "it was stopped by hand",
    "live_already_under_way": "{candidate} is being compared with {released} already. Wait until that has ended, or "
    "end it with `python -m alignment trial stop`.",
    "live_nothing_released": "There is nothing to compare {candidate} with: nothing is released.",
    "live_same_version": "There is nothing to compare {candidate} with: {candidate} is released.",
    "live_not_promoted": "The gate has not promoted {candidate} over {released}, and not every guard has passed, so "
    "nobody is served by it. Run "
    "`python -m alignment cycle`, or release it by hand with `python -m alignment release`.",
    "live_share_impossible": "A share of {share:percent} % of conversations is not possible: give more than 0 % and "
    "less than 100 %, because both versions need thumbs.",
    "live_file_unreadable": "{path} cannot be read ({error}). Delete it, which ends the live comparison, and start "
    "another.",
    # Cycle
    "cycle_too_little_feedback": "too little new feedback: {votes:#new vote|new votes}, {needed:#is|are} needed. "
    "{missing} more, and a cycle begins.",
    "cycle_nothing_to_train": "{votes:#new vote|new votes}, and no stage can learn from the feedback yet: {lacks:; }. "
    "They stay new, and a cycle begins once a stage can.",
    "cycle_waits_for_live_comparison": "no new candidate while a live comparison is under way",
    "cycle_continues": "going on with cycle {number}, which has not ended",
    "cycle_snapshot": "snapshot {snapshot}: {rows:, |no rows}",
    "cycle_own_snapshot": "snapshot of {version}'s answers {snapshot}: {rows:, |no rows}",
    "row_count": "{count} {rows}",
    "cycle_stage_begins": "cycle {number}: {stage} → {version}",
    "cycle_report_written": "report: {path}",
    "cycle_nothing_released": "cycle {number}: nothing was released: {why}",
    "cycle_released": "cycle {number}: {version} is released",
    "cycle_began_live_comparison": "cycle {number}: {version} serves a share of conversations, and people's thumbs "
    "decide",
    "cycle_waits_for_release": "cycle {number}: {version} is promoted and waits: {why}",
    "cycle_cannot_go_on": "{why}\nCycle {number} has failed there before. If that cannot be mended, end it with "
    "`python -m alignment cycle --discard`: its record stays, its candidates stay registered and unreleased, and the "
    "next run begins a new cycle.",
    "cycle_given_up": "{why}\nCycle {number} has failed in this step {count:#time|times}, and is given up. Its record "
    "stays, and the next run begins a new cycle from the same feedback.",
    "cycle_run_killed": "The last run of a cycle was stopped before it ended: its process was killed, perhaps because "
    "the machine had no memory left, or restarted. The next run goes on where it was.",
    "cycle_discarded": "cycle {number} was ended before its time: {why}",
    "cycle_nothing_to_discard": "there is no unfinished cycle to discard",
    "discarded_by_hand": "it was discarded by hand",
    "discarded_snapshot_gone": "the feedback that it was to learn from is not there as it was. {why}",
    "discarded_after_failures": "one step failed {count:#time|times}. {why}",
    "cycle_locked": "Another cycle is running on this home: process {pid} on {host} holds {path}. Wait until it has "
    "ended. If it runs on another machine and is gone, delete that file.",
    "cycle_lock_contested": "The lock {path} cannot be taken: other processes take it again and again. Try again.",
    "cycle_state_unreadable": "{path} cannot be read ({error}). Restore it, or end the cycle with "
    "`python -m alignment cycle --discard`, which keeps the file beside a new one; its candidates stay registered and "
    "unreleased.",
    "gate_already_decided": "{version} has been through the gate already. Train a new candidate.",
    "none_promoted": "no candidate was promoted",
    "none_promoted_but_left": "no candidate was promoted; nothing speaks against one either. Choose between its "
    "answers and the released version's, on the dashboard under “Side by side”; or let people decide in a live "
    "comparison (`cycle.undecided: trial` in the policy)",
    "left_to_people": "nothing could show that {version} is better, and every guard passes: people decide",
    "released_meanwhile": "{other} was released meanwhile; {version} was compared with {released}, and is not served",
    "release_by_hand": "release it with `python -m alignment release {version}`",
    # Notes of a cycle
    "no_reward_models": "no reward models: {why}",
    "stage_not_run": "no {stage}: {why}",
    "too_few_pairs": "{have} of {needed:#pair|pairs}; {missing:#more is|more are} needed",
    "too_few_corrections": "{have} of {needed:#correction|corrections}; {missing:#more is|more are} needed",
    "too_few_thumbs": "{have} of {needed:#thumb|thumbs}; {missing:#more is|more are} needed",
    "too_few_judgements": "{have} of {needed:#pair or thumb|pairs and thumbs}; {missing:#more is|more are} needed",
    "thumbs_all_alike": "all {count:#thumb points|thumbs point} {thumb}, and it learns from the difference",
    "judgements_all_alike": "all thumbs point one way, and it learns from the difference",
    "reward_models_missing": "there are no reward models to learn from",
    "reward_model_too_weak": "the reward model {version} is right on {accuracy:percent.0} % of held-out votes for "
    "sure, and more than {needed:percent} % are needed",
    "reward_model_gone": "{version}, a reward model, is not there any more: it judged nothing",
    "candidate_gone": "{version} is not there any more: it was compared with nothing",
    "candidate_not_compared": "{version} was not compared, and is not promoted: {why}",
    "judge_not_measured": "the judge {version} could not be measured, and judged nothing: {why}",
    "nothing_can_decide": "nothing could show that a candidate is better: no judge is surely better than chance, there "
    "are no held-out votes of both kinds, and the policy names no suite",
    "raters_not_judged": "no rater was compared with the reward models: {why}",
    "prompts_not_asked": "{count} of {of:#prompt|prompts} {count:~was|were} not asked: {prompts:; }",
    "prompt_not_asked": "{prompt} ({why})",
    "and_more": "and {count} more",
    "prompt_too_long": "{tokens:#token|tokens}, and there is room for {most}",
    "prompt_empty": "it is empty",
    "prompt_refused": "{error}",
    "held_out_votes_too_long": "{count} of {of:#held-out vote|held-out votes} {count:~is|are} on texts longer than the "
    "model's window, and {count:~was|were} not read",
    "held_out_votes_refused": "{count} of {of:#held-out vote|held-out votes} {count:~is|are} in conversations that the "
    "model's template refuses, and {count:~was|were} not read",
    # Dry run
    "plan_no_version": "{home} has no version yet: a cycle would make v1 from the default model, and find no feedback",
    "plan_continues": "would go on with cycle {number}; done: {steps:, |nothing yet}",
    "step_done": "{step}",
    "plan_votes": "new votes: {votes}; {needed:#is|are} needed",
    "plan_rows": "rows to train on: {up:#thumb|thumbs} up, {down:#thumb|thumbs} down, {pairs:#pair|pairs}",
    "plan_stage_runs": "{stage}: would run",
    "plan_stage_lacks": "{stage}: would not run: {why}",
    "plan_ppo": "ppo: would run if a reward model is right on more than {needed:percent} % of held-out votes",
    "plan_wrote_nothing": "dry run: nothing was written",
    "could_decide": "what could show that a candidate is better: {means:; }",
    "means_suite": "the policy's suite",
    "means_starter_tasks": "the starter's tasks",
    "means_corrections": "{count:#correction|corrections}, asked again in other words",
    "means_held_out_votes": "held-out votes on {count:#prompt|prompts}",
    "means_reward_models": "reward models, if they judge held-out votes better than chance",
    "nothing_could_decide": "nothing could show yet that a candidate is better, so it would be held. There are prompts "
    "with held-out votes: {prompts} of {needed_prompts}; corrections: {corrections} of {needed_corrections}; thumbs "
    "and pairs for reward models: {judgements} of {needed_judgements}; and no suite. You can choose between the "
    "candidate's answers and the released version's on the dashboard; with `cycle.undecided: trial` in the policy "
    "people decide instead",
    "people_would_decide": "nothing could show yet that a candidate is better, so people would decide in a live "
    "comparison. There are prompts with held-out votes: {prompts} of {needed_prompts}; corrections: {corrections} of "
    "{needed_corrections}; thumbs and pairs for reward models: {judgements} of {needed_judgements}; and no suite",
    # Rater audit
    "rater_suspect": "suspect: {rater}, {finding}: {reason}",
    "rater_disagrees": "agrees with {whom} on {right} of {of:#vote|votes} (p = {p:.1g}): flipped labels?",
    "rater_flood": "{reasons:; }",
    "rater_reversed": "gave {up} of {of:#vote|votes} up, all others {share:percent.0} % of theirs: flipped labels?",
    "rater_share": "gave {count} of all {of:#vote|votes}, {share:percent.0} %, as one of {raters:#rater|raters}",
    "rater_burst": "gave {count:#vote|votes} within {seconds:#second|seconds}",
    "rater_repeats": "judged the same answer to the same question {count:#time|times}",
    "rater_copies": "says the same as {rater} of {count:#text|texts}, {odd:#time|times} against all others",
    "rater_contradicts": "called {both} of {again:#text|texts} that they judged more than once both good and bad",
    # Report
    "report_title": "Cycle {number}",
    "report_summary": "Began {began}, released then: {released}. New votes: {votes}. Snapshot {snapshot}: "
    "{rows:, |no rows}.",
    "report_left_out": "Left out by the rules: {rules:, }.",
    "report_left_out_rule": "{count} {rows} by {rule}",
    "report_raters": "Raters who stand out",
    "report_no_raters": "Nobody.",
    "report_rater": "`{rater}`: {finding}: {reason}",
    "report_reward_models": "Reward models: {models:, }.",
    "report_reward_model": "{version} (half {half})",
    "report_judge": "{version} is right on {right} of {of:#pair|pairs} that it had not seen ({low:percent.0} to "
    "{high:percent.0} %; taking the longer answer would be right on {longer})",
    "judges_together": "together: {verdict}",
    "judge_unmeasured": "{version}: there is no pair that it had not seen",
    "judges_are_sure": "surely better than chance",
    "judges_are_not_sure": "not surely better than chance, so their judgement decides nothing",
    "in_words": "In plain words, {candidate} beside {released}. Better: {better:; |nothing that could be shown}. "
    "Worse: {worse:; |nothing that could be shown}. About as good: {same:, |nothing}. Not known yet: "
    "{unknown:; |nothing}. {so}",
    "words_better": "{measure} (better on {gained} and worse on {lost} of {prompts:#prompt|prompts}; by luck alone "
    "once in {one_in:#time|times})",
    "words_better_by": "{measure} (by {difference:signed}{unit}; by luck alone once in {one_in:#time|times})",
    "words_guard_better": "{measure} (by {difference:signed}{unit}, surely between {low:signed} and {high:signed}; it "
    "does not decide)",
    "words_worse": "{measure} (by {difference:signed}{unit}, surely between {low:signed} and {high:signed})",
    "words_same": "{measure}",
    "words_unknown": "{measure} (anything between {low:signed} and {high:signed}{unit})",
    "words_too_few": "{measure} (only {prompts:#prompt|prompts} of the {needed} that it takes)",
    "words_promote": "So it is promoted.",
    "words_reject": "So it is rejected.",
    "words_hold_not_better": "So it is held: nothing that decides shows that it is better.",
    "words_hold_not_safe": "So it is held: it is better, and it is not shown that nothing was lost.",
    "report_candidate": "{candidate}, by {stage}: {verdict}",
    "report_measure_column": "measure",
    "report_kind_column": "kind",
    "report_difference_column": "better by",
    "report_interval_column": "95 % interval",
    "report_gained_column": "gained",
    "report_lost_column": "lost",
    "report_prompts_column": "prompts",
    "report_share": "{measure}: {share:percent.1} [{low:percent.1}, {high:percent.1}] of {of} (shown only)",
    "report_reward_model_share": "wins by the reward model {version}: {share:percent.1} [{low:percent.1}, "
    "{high:percent.1}] of {of} (shown only)",
    "report_look": "Look {look} at {released}:",
    "report_not_done": "What was not done",
    "report_failures": "What failed",
    "report_failure": "{at}, {step}: {why}",
    "report_seconds": "Seconds: {steps:, }.",
    "report_step_seconds": "{step} {seconds}",
}

TERMS = {
    "finding": {},
    "kind": {},
    "measure": {},
    "plain": {
        "right": "right answers",
        "right, thinking": "right answers after thinking",
        "right, no thinking": "right answers without thinking",
        "right, other kinds": "right answers to other tasks",
        "right, other kinds, thinking": "right answers to other tasks after thinking",
        "right, other kinds, no thinking": "right answers to other tasks without thinking",
        "names the unit": "naming the unit",
        "names the unit, thinking": "naming the unit after thinking",
        "names the unit, no thinking": "naming the unit without thinking",
        "wins by the reward model": "answers that the judges prefer",
        "held-out votes": "liking what people liked, in votes that it had not seen",
        "corrections hold": "keeping to corrections",
        "surprise at liked replies": "how likely liked answers still are",
        "ends": "coming to an end",
        "is not empty": "saying something",
        "does not repeat itself": "not repeating itself",
        "keeps the language": "answering in the language of the question",
        "is not much longer": "not being long-winded",
        "surprise at fixed texts": "how likely good answers are to fixed questions",
        "KL on fixed texts": "closeness to the version before on fixed questions",
        "surprise at general texts": "how likely good answers are to general questions",
        "KL on general texts": "closeness to the version before on general questions",
    },
    "rows": {},
    "stage": {},
    "step": {},
    "thumb": {},
    "unit": {"points": " points"},
    "verdict": {},
    "whom": {"others": "the others", "reward models": "reward models that learned from other prompts"},
}
"""By type: the terms whose text differs from their identifier."""
