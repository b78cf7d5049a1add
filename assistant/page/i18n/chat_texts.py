"""The texts that each language of the chat page has. A missing translation is a missing argument on import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class ChatTexts:
    """The texts of one language; each language has one object, which equals no other.

    Fields ending in `_format` have named places for `str.format`.
    """

    code: str
    tagline: str
    new_conversation: str
    other_language: str
    switch_language: str
    version_format: str

    examples_label: str
    tour: str

    message_label: str
    think: str
    send: str
    stop: str
    footnote_keys: str
    footnote: str
    learns: str
    votes_until_format: str
    votes_enough_format: str
    waits_format: str
    in_training: str
    interrupted: str
    in_comparison_format: str
    one_kind_is_enough: str
    votes_of_all: str
    my_feedback: str
    my_feedback_format: str
    no_feedback: str
    feedback_kinds: dict[str, str]
    """By kind: up, down, correction."""
    learned_by_format: str
    learned_from_you_format: str
    answers_now: str
    fix_states: dict[str, str]
    """What the released version makes of a correction: right, still right, lost, wrong, not asked."""
    it_answers: str
    not_learned_yet: str
    take_back: str
    consent: str
    consent_help: str
    to_end: str

    you: str
    assistant: str
    waiting: str
    reading_format: str
    queue_format: str
    thinking: str
    thought: str
    thought_for_format: str
    no_answer: str
    finish_reasons: dict[str, str]
    dropped_format: str

    copy: str
    copied: str
    copy_code: str
    copy_failed: str
    retry: str
    more: str
    undo: str
    edit: str
    edit_label: str
    resend: str
    cancel: str

    good: str
    bad: str
    ask_good: str
    ask_bad: str
    reasons_good: dict[str, str]
    reasons_bad: dict[str, str]
    comment_label: str
    comment_placeholder: str
    finish: str
    withdraw: str
    thanks: str
    withdrawn: str

    empty_message: str
    busy: str
    error_title: str
    unknown_reply: str
    lost_conversation: str
    unexpected: str
    unforeseen: str
    connection_lost: str

    # Conversations
    conversations: str
    open_list: str
    close_list: str
    search: str
    no_conversations: str
    nothing_found: str
    untitled: str
    rename: str
    rename_label: str
    save: str
    delete: str
    delete_question: str
    delete_for_good: str
    deleted: str
    export_markdown: str
    export_json: str
    import_json: str
    imported: str
    import_refused: dict[str, str]

    # Signing in
    sign_in: str
    sign_in_help: str
    signed_in_format: str
    sign_out: str
    login_reason: str
    dashboard: str

    # Branches
    previous_branch: str
    next_branch: str
    branch_format: str
    retry_thinking: str
    retry_plain: str
    system: str

    # Corrections
    correct: str
    correct_label: str
    correct_help: str
    correct_changes: str
    correct_save: str
    correct_remove: str
    correct_again: str
    corrected_title: str
    before: str
    after: str
    corrected: str
    uncorrected: str
    correction_same: str

    # Side by side
    mode_label: str
    modes: dict[str, str]
    left: str
    right: str
    pair_question: str
    pair_same: str
    choices: dict[str, str]
    chosen: dict[str, str]
    with_thinking: str
    without_thinking: str
    pair_thanks: str
    pair_thanks_tie: str

    # Settings
    settings: str
    close: str
    system_label: str
    system_help: str
    temperature: str
    temperature_help: str
    top_p: str
    top_p_help: str
    top_k: str
    top_k_help: str
    max_tokens: str
    max_tokens_help: str
    seed: str
    seed_help: str
    seed_random: str
    presets: str
    precise: str
    varied: str
    reset: str
    settings_kept: str
    shortcuts: str
    shortcut_names: dict[str, str]

    # Version card
    card_title_format: str
    card: dict[str, str]
    card_facts: dict[str, str]
    card_stages: dict[str, str]
    card_model: dict[str, str]
    card_languages: dict[str, str]
    card_document: str
    none: str

    # Tokens of a reply
    tokens: str
    tokens_title: str
    tokens_help: str
    tokens_thought: str
    tokens_answer: str
    token_format: str
    token_choice_help: str
    token_continue: str
    token_continue_format: str
    token_chosen: str
    token_end: str
    token_end_help: str
    token_space: str
    token_line: str
    likely: str
    unlikely: str

    too_long_format: str

    # Errors by the names of their classes; named places are fields of the error
    errors: dict[str, str]
