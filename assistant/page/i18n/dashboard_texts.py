"""The fields of a language of the dashboard. A missing translation is a missing argument, which fails on import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DashboardTexts:
    """The texts of one language. Fields whose names end in `_format` are templates for `str.format`."""

    code: str
    title: str
    views: dict[str, str]
    to_chat: str
    sign_out: str
    other_language: str
    switch_language: str
    close: str
    cancel: str
    failed: str
    details_format: str
    """Of the `kind` of an error and its `details`."""
    months: tuple[str, ...]
    date_format: str
    """Of `day` and `month`."""
    moment_format: str
    """Of `date` and `time`."""
    percent_format: str
    """Of a `value`."""
    interval_format: str
    """Of `low` and `high` in percent, and `of`, the count that the share is taken of."""

    # Signing in
    sign_in: str
    sign_in_help: str
    password: str
    your_name: str
    your_name_help: str
    sign_in_errors: dict[str, str]
    own_tab: str
    switched_off: str
    switched_off_help: str
    switched_off_spaces_help: str

    # Overview
    tiles: dict[str, str]
    since_format: str
    none_yet: str
    thumbs_counts_format: str

    # Versions
    versions_help: str
    released: str
    in_live_comparison: str
    verdicts: dict[str, str]
    reward_model: str
    made_from_format: str
    details: str
    sections: dict[str, str]
    facts: dict[str, str]
    no_gate: str
    no_gate_reward_model: str
    reasons_format: str
    gate_format: str
    kinds: dict[str, str]
    guard_format: str
    findings: dict[str, str]
    points: str
    no_curves: str
    curves: dict[str, str]
    updates: str
    manifest: str
    model_card: str
    version_exports: dict[str, str]
    """Formats for other programs, by their names in `assistant.admin.actions.EXPORT_FORMATS`."""
    version_exports_help: str
    release: str
    release_format: str
    release_help_format: str
    release_warning: str
    why: str
    why_placeholder: str
    chosen_over_format: str
    released_now_format: str
    roll_back: str
    roll_back_help_format: str
    rolled_back_format: str
    compare_live: str
    compare_side_by_side: str

    # Ratings
    thumbs: str
    thumbs_help: str
    no_thumbs: str
    columns: dict[str, str]
    ranking: str
    ranking_help_format: str
    no_ranking: str
    choices_format: str

    # Cycles
    cycles_help: str
    probes: str
    probes_format: str
    """Of the `count` of corrections, how many are `holding` in `version`, were `before` in `released`, are `lost`."""
    probes_open: str
    probe_asked: str
    probe_correction: str
    probe_states: dict[str, str]
    """By what became of a correction: lost, wrong, fixed, held."""
    run_cycle: str
    plan: str
    plan_title: str
    cycle_started: str
    cycle_running_format: str
    cycle_ended_format: str
    cycle_cancelled: str
    nothing_to_cancel: str
    cancel_cycle: str
    go_on: str
    discard: str
    discard_format: str
    discard_help: str
    failure_format: str
    failure_seen: str
    steps: dict[str, str]
    log: str
    missing_format: str
    no_cycles: str
    cycle_format: str
    unfinished: str
    outcomes: dict[str, str]
    new_votes_format: str
    report: str
    rewards: str
    rewards_format: str
    rewards_axis_format: str
    before_format: str
    after_format: str

    # Live comparison
    live_comparison_help: str
    live_comparison_format: str
    live_ended_format: str
    difference_format: str
    no_course: str
    no_live_comparison: str
    start_live_comparison: str
    start_live_comparison_format: str
    stop_live_comparison: str
    stop_live_comparison_help: str
    no_candidates: str
    candidate: str
    share: str
    share_help: str
    past_live_comparisons: str
    live_verdicts: dict[str, str]
    counted_votes: str

    # Side by side
    side_by_side_help: str
    prompt_label: str
    prompt_placeholder: str
    version_a: str
    version_b: str
    think: str
    ask: str
    stop: str
    left: str
    right: str
    writing: str
    question: str
    choices: dict[str, str]
    chosen_format: str
    same_format: str
    side_by_side_counts_format: str
    side_by_side_undecided: tuple[str, str]
    """With one choice missing, and with more."""
    not_whole: str
    cut: str
    side_by_side_decided_format: str
    next_question: str
    same_version: str
    two_needed: str
    no_question_left: str
    no_answer: str
    thought: str

    # Export and audit
    export: str
    export_help: str
    exports: dict[str, str]
    audit: str
    audit_help: str
    no_audit: str
    actions: dict[str, str]
    history: str
