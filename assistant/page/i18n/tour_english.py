"""Every text of the tour in English."""

from assistant.page.i18n.tour_texts import TourTexts

TOUR_ENGLISH = TourTexts(
    code="en",
    title="How it works",
    to_chat="To the chat",
    intro_title="How a text predictor becomes an assistant",
    intro="ChatGPT was made in steps, and each step rests on a claim. Here each is tried on models small enough "
    "for this machine. Some you can try yourself, on the starter of 4.9 million parameters, and nothing of that is "
    "stored; all but one were measured, some on smaller models made in the same way, or on SmolLM2, which others made.",
    contents="The claims",
    live="try it",
    titles={
        "word_chain": "An answer is a chain of tokens, each drawn at random",
        "base_and_assistant": "A base continues a text; an assistant answers",
        "scarce_pairs": "Good answers are scarce, raw text is not",
        "two_languages": "What is taught in one language works in another",
        "range_and_data": "Too few parameters underfit; too little data overfits",
        "loss_and_optimisation": "Learning is a search, and it can miss",
        "votes_and_rows": "Rating an answer takes a click; writing one takes work",
        "occasionally_good": "Reinforcement needs a model that is good at least sometimes",
        "reward_model_saves_people": "A reward model saves people",
        "chain_of_thought": "Written steps make a hard problem easy",
        "alignment_beats_size": "Alignment helps more than size",
    },
    explanations={
        "word_chain": "The model gives every token a probability, and one is drawn. The answer is over when END is "
        "drawn. Draw again, and the same question often gets another answer. A seed numbers the draws: the same one "
        "draws the same answer again.",
        "base_and_assistant": "The base has read raw text: notes, tables, and many questions, each followed by its "
        "solution or by the next question. Some of its texts are conversations, with thoughts, and with "
        "questions that are declined. So it may answer as its texts do, ask on, or write notes. Fine-tuning makes it "
        "answer most of the time.",
        "scarce_pairs": "People must write each question with its answer, while raw text is there already. So a model "
        "reads raw text first, and then needs fewer pairs. The raw text here is made up, and holds many "
        "solved examples, as a textbook does.",
        "two_languages": "Fine-tuned on one language alone, a model is asked in both. What the two share, it would "
        "have to learn only once.",
        "range_and_data": "The number of parameters decides which functions a model can be, and the data choose among "
        "them. Both too small a range and too little data show in the loss on texts it has not seen.",
        "loss_and_optimisation": "The loss says how bad a function is, and the optimiser looks for a better one. A "
        "learning rate that is too low finds nothing in time; one that is too high diverges.",
        "votes_and_rows": "A vote that says what is better becomes a row of training data. Vote, and see which. "
        "This screen is only to be tried: nothing was measured for it.",
        "occasionally_good": "The model answers many times, and what scored well becomes likelier. Where no answer is "
        "ever good, there is nothing to make likelier.",
        "reward_model_saves_people": "A reward model learns from a few ratings to rate like people. It then rates "
        "thousands of answers that nobody has to read.",
        "chain_of_thought": "Each written step is easy to predict from those before it. Without them, the model has to "
        "guess the answer at once. The starter knows problems in its own words: in yours it is often wrong either way.",
        "alignment_beats_size": "People preferred an aligned model to a much larger one that was not (InstructGPT, "
        "2022). Here one with 1.2 million parameters stands beside one with 4.9 million.",
    },
    next_format="Next: {title}",
    to_start="To the beginning",
    ask="Ask",
    limit_format="No more fits: {most} characters are the most.",
    examples="Examples",
    starting="Waking the starter…",
    chain_questions=("Who are you?", "What can you do?", "What is a reward model?"),
    what_next="What can come next: draw, or click on one to take it",
    take_format="Take {token}, {share} likely",
    draw="Draw the next token",
    draw_all="On to END",
    chain_over={
        "end": "END: the answer is over.",
        "length": "Stopped here: END did not come in time.",
    },
    seed_format="seed {seed} · the deeper a token's shade, the less likely it was",
    drawn_seed_format="seed {seed}",
    other_seed_format="Begin again, with seed {seed}",
    same_seed="Begin again, with the same seed",
    drawn="Drawn so far, at temperature 1",
    different_format="{different} different among {count}",
    messages=("What is overfitting?", "What can you do?", "Anna has 12 apples."),
    sides={"base": "The base", "v1": "v1, fine-tuned", "on": "Thinking on", "off": "Thinking off"},
    sides_help={
        "base": "pretrained on raw text; it gets your message as the beginning of a text, and writes on",
        "v1": "the same, fine-tuned on questions with answers (SFT); it gets your message as a question",
        "on": "the steps first, then the answer",
        "off": "the answer at once",
    },
    aligned_format="{version}, which serves here: then trained on feedback ({stage})",
    no_aligned="The starter comes without a version trained on feedback. Train one here from thumbs and release it, "
    "and it answers beside these two.",
    tokens_format="{count} tokens",
    problems=(
        "What is 347 + 285?",
        "Anna buys 4 bags of apples with 6 in each bag. Then 5 of the apples are eaten. How many apples are left?",
    ),
    vote_questions=(
        "Anna buys 4 bags of apples with 6 in each bag. Then 5 of the apples are eaten. How many apples are left?",
        "June has 5 cards and gets 11 more. 4 children share them all equally. One of them had 37 cards before. How "
        "many cards does this person have altogether?",
    ),
    write_two="Write two answers",
    answer_format="Answer {letter}",
    better="Or write a better answer",
    replace_format="Put it in place of answer {letter}",
    row_kinds={
        "trl-kto": "One answer, good or bad. The stages kto (learn from thumbs) and reward (train a reward model) "
        "read it.",
        "trl-preference": "A pair, the better and the worse. The stages dpo (learn from pairs) and reward read it.",
        "trl-sft": "An answer to imitate. The stages sft (fine-tune on answers) and correct read it.",
    },
    no_row="This makes no row: it does not say which of the two is better. A thumb on each would make a row each.",
    same_answers="This makes no row: the two answers are the same, so that there is nothing to prefer.",
    thought_stays="Both sides of the pair keep the model's thought: only the answers differ, and this is learned.",
    empty_correction="Write a better answer first.",
    not_stored="What you do here is stored nowhere.",
    verdicts={
        "held": "It held.",
        "partly": "It held in part.",
        "not held": "It did not hold.",
        "untested": "It could not be tested.",
    },
    is_met={True: "seen:", False: "not seen:"},
    enlarge="Tap to enlarge",
    measured="The measurement",
    not_measured="This claim has not been measured yet.",
    not_here="The measurements are not part of this installation. They are in docs/claims.md of the source code.",
    plot_format="Plot of the measurements: {title}",
    again_format="Measured on {date}. To measure it again:",
    figures_help="In the figures, brackets say how far a figure might be off if other tasks had been asked (95 % "
    "intervals); another training could differ by more. People who rate are simulated. 0.3M means 0.3 million "
    "parameters; held-out texts and tasks are those that training never saw; v1 is the base after SFT, which is "
    "fine-tuning on questions with answers; a "
    "greedy answer takes the likeliest token each time; pass@8 is the share of tasks that eight drawn answers solve at "
    "least once; nats measure surprise. An adapter is the small part of a model that is trained while the rest "
    "stays as it is, and its rank says how large that part is; warm-up is the share of training in which the learning "
    "rate rises; a seed fixes every random draw. Every figure, and how it was measured: docs/claims.md in the source "
    "code.",
)
