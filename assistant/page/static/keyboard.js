// Where the keyboard goes on after an action has redrawn what it was on, and what keys do on the whole page.
const MESSAGE = "#message textarea";
const touch = matchMedia("(hover: none) and (pointer: coarse)");
// One for all blocks of the page: each runs this script.
const goingOn = (document.querySelector("#frame").goingOn ??= { to: [], opener: [] });
const OPENING = ["edit", "correct", "ask_rename", "ask_delete"];
const LEADING_TO_MESSAGE = [
  "continue_with", "example", "new_conversation", "open_conversation", "resend", "retry", "undo", "delete",
];

// Notes the elements that may get the focus after `action`, the best first.
function goOnAfter(action, turn, label) {
  const article = `article[data-turn="${turn}"]`;
  if (OPENING.includes(action)) {
    goingOn.opener = [`[data-do="${action}"][data-turn="${turn}"]:not(.menu *)`, `${article} [popovertarget]`];
    goingOn.to = []; // the form has a field for it
  } else if (action === "cancel" || action === "keep_correction" || action === "rename") {
    goingOn.to = [...goingOn.opener, MESSAGE];
  } else if (action === "show_sibling") {
    const arrow = `${article} .siblings button:not(:disabled)`;
    goingOn.to = [`${arrow}[aria-label="${label}"]`, arrow];
  } else if (LEADING_TO_MESSAGE.includes(action)) {
    goingOn.to = [MESSAGE];
  } else {
    goingOn.to = [`${article} [data-do="${action}"]`, `${article} .thumb`, MESSAGE];
  }
}

// Gives the focus to the first of them, if nothing has it any more. On a phone, the keyboard comes up only when asked.
function goOn() {
  const { activeElement } = document;
  if (!goingOn.to.length || (activeElement && activeElement !== document.body && !activeElement.disabled)) return;
  const target = goingOn.to.map((selector) => document.querySelector(selector)).find((found) => found);
  goingOn.to = [];
  if (target && !(touch.matches && target.matches(MESSAGE))) target.focus({ preventScroll: true });
}

// An Enter or Esc that an input method takes: Safari sends it after the composition, with this code only.
const isComposing = (event) => event.isComposing || event.keyCode === 229;

// Places a menu beside its button, above it where there is no room below.
function placeMenu(menu) {
  const { left, top, bottom } = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  const isLow = bottom + 250 > innerHeight;
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - 290))}px`;
  menu.style.top = isLow ? "auto" : `${bottom + 4}px`;
  menu.style.bottom = isLow ? `${innerHeight - top + 4}px` : "auto";
}

// Keys of the message box and of the whole page; `cancel` closes the open form.
function listenToKeys(cancel) {
  const keys = { KeyN: "#header [data-do=new_conversation]", ArrowUp: ".thumb.up", ArrowDown: ".thumb.down" };
  document.addEventListener("keydown", (event) => {
    // On a phone, Enter begins a new line and the button sends. Gradio would send on every Enter.
    const isEnter = event.key === "Enter" && event.target.matches?.(MESSAGE);
    if (isEnter && (isComposing(event) || (touch.matches && !event.ctrlKey))) event.stopImmediatePropagation();
  }, true);
  document.addEventListener("keydown", (event) => {
    const target = event.altKey && !event.ctrlKey && !event.metaKey && keys[event.code];
    if (target) {
      event.preventDefault();
      [...document.querySelectorAll(target)].at(-1)?.click();
    }
    if (event.key !== "Escape" || isComposing(event) || document.querySelector("dialog[open], :popover-open")) return;
    const form = document.querySelector("#conversation form, #conversation-list form, .confirm-delete");
    const drawerButton = document.querySelector("#header [data-do=drawer][aria-expanded=true]");
    if (form?.contains(event.target)) cancel();
    else if (drawerButton) drawerButton.click();
    else if (document.querySelector("#stop")) document.querySelector("#stop").click();
    else if (form) cancel();
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest("#send, #stop")) goingOn.to = [MESSAGE];
  });
}

// Keeps the arrows between branches where they were pressed, so that a second press does not hit something else.
function holdArrows(scroller, container, { turn, top }) {
  const article = container.querySelector(`article[data-turn="${turn}"]`);
  const arrow = article?.querySelector(".siblings button");
  if (!arrow) return;
  const moved = () => arrow.getBoundingClientRect().top - top;
  container.style.paddingBottom = "";
  const text = article.querySelector(".answer");
  if (moved() < 0 && text) text.style.minHeight = `${text.offsetHeight - moved()}px`; // a shorter branch
  else if (moved() < 0) article.style.marginTop = `${-moved()}px`;
  scroller.scrollTop += moved();
  if (moved() > 0) {
    container.style.paddingBottom = `${moved()}px`; // too little below to scroll that far
    scroller.scrollTop += moved();
  }
}
