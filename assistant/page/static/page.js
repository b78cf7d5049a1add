// Runs once per HTML block of the page. The server draws; this passes clicks and forms on as events.
const ACTIONS = [
  "ask_delete", "ask_rename", "cancel", "check_for_changes", "choose", "close", "continue_with", "correct",
  "delete", "edit", "example", "export_json", "export_markdown", "feedback", "finish", "import_file",
  "keep_correction", "language", "new_conversation", "open_conversation", "preset", "rate_reply", "remove_correction",
  "rename", "resend", "retry", "search", "set_mode", "set_preferences", "settings", "show_sibling", "token",
  "tokens", "undo", "version_card", "withdraw",
];
let order = 0; // events sent together may arrive in another order; the server goes by this number
const act = (name, data) => ACTIONS.includes(name) && trigger(name, { ...data, order: ++order });
const filled = (form) => {
  const fields = new FormData(form);
  return {
    ...form.dataset,
    text: fields.get("text") ?? "",
    reasons: fields.getAll("reason"),
    values: Object.fromEntries(fields),
  };
};
// The server takes the panel away once it has what the form holds: what is sent next is drawn with it.
const leave = (panel) => act("close", filled(panel.querySelector("form") ?? document.createElement("form")));
const drawer = (open) => {
  // On the list itself: Gradio prefixes our styles with its container, so that none can begin at the body.
  document.querySelector("#sidebar").classList.toggle("drawer-open", open);
  document.querySelector("#header [data-do=drawer]")?.setAttribute("aria-expanded", open);
};

async function copyAnswer(button) {
  const answer = button.closest(".reply").querySelector(".answer");
  // Formulas as they were written: without its layout a drawn one reads "x2" for a square.
  const drawn = [...answer.querySelectorAll("math")].map((formula) => [new Text(formula.dataset.tex), formula]);
  for (const [text, formula] of drawn) formula.replaceWith(text);
  const copied = answer.innerText.trim();
  for (const [text, formula] of drawn) text.replaceWith(formula);
  await navigator.clipboard.writeText(copied);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

element.classList.toggle("cannot-copy", !navigator.clipboard); // browsers offer it on https and localhost only

element.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) chosen.set(summary.parentElement.id, !summary.parentElement.open);
  if (event.target.matches("dialog")) leave(event.target); // beside the panel
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "copy") copyAnswer(button);
  else if (button.dataset.do === "drawer") {
    const open = !document.querySelector("#sidebar.drawer-open");
    drawer(open);
    document.querySelector(open ? "#sidebar-top input" : "#header [data-do=drawer]")?.focus();
  } else if (button.dataset.do === "close") leave(button.closest("dialog"));
  else act(button.dataset.do, { ...button.dataset });
  if (["new_conversation", "open_conversation"].includes(button.dataset.do)) drawer(false);
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.target.dataset.do, filled(event.target));
});
element.addEventListener("change", async (event) => {
  const form = event.target.closest("form[data-change]");
  if (form) act(form.dataset.change, filled(form));
  const file = event.target.dataset.file && event.target.files[0];
  if (file) {
    const name = event.target.dataset.file;
    event.target.value = "";
    act(name, { text: await file.slice(0, 8_000_000).text() });
  }
});
let typed;
element.addEventListener("input", (event) => {
  const output = event.target.closest(".field")?.querySelector("output");
  if (output) output.textContent = event.target.value;
  const written = event.target.closest("form[data-before]");
  if (written) {
    showDifference(written);
    if (following) scroller.scrollTop = scroller.scrollHeight; // what changes must not hide the way to keep it
  }
  const form = event.target.closest("form[data-input]");
  clearTimeout(typed);
  if (form) typed = setTimeout(() => act(form.dataset.input, filled(form)), 200);
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.closest("form, li")) act("cancel", {});
  // While composing, Enter picks a word in an input method.
  if (event.target.dataset.enter !== "submit" || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// Keys of the whole page; once, from the block that is always there.
if (element.closest("#header")) {
  const tell = () => tellToasts(element.querySelector(".bar"));
  new MutationObserver(tell).observe(document.body, { childList: true, subtree: true });
  const keys = { KeyN: "#header [data-do=new_conversation]", ArrowUp: ".thumb.up", ArrowDown: ".thumb.down" };
  document.addEventListener("keydown", (event) => {
    const target = event.altKey && !event.ctrlKey && !event.metaKey && keys[event.code];
    if (target) {
      event.preventDefault();
      [...document.querySelectorAll(target)].at(-1)?.click();
    }
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (document.querySelector("#sidebar.drawer-open")) {
      drawer(false);
      document.querySelector("#header [data-do=drawer]")?.focus();
    } else document.querySelector("#stop")?.click();
  });
  // Beside the drawer: the page behind it closes it.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#main") && !event.target.closest("[data-do=drawer]")) drawer(false);
  });
}

// Tabs of one browser tell each other that something was drawn anew; other devices are asked about on coming back here.
if (element.closest("#conversation-list")) {
  const state = () => element.querySelector("[data-state]")?.dataset.state;
  const tabs = new BroadcastChannel("thumbtune");
  tabs.addEventListener("message", ({ data }) => data !== state() && act("check_for_changes", {}));
  watch("value", () => tabs.postMessage(state()));
  let looked = 0;
  const look = () => {
    if (document.visibilityState !== "visible" || Date.now() - looked < 1000) return;
    looked = Date.now();
    act("check_for_changes", {});
  };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
}

// After each drawing: keep thoughts as the person left them, follow the text unless they scrolled up.
const chosen = new Map();
const scroller = element.closest("#scroller");
if (scroller) element.setAttribute("role", "log"); // read out when complete: a reply being written is aria-busy
let following = true;
let turns = 0;
let opener = null; // what had the focus before the panel opened
let depth = 0; // how far the open panel was scrolled
scroller?.addEventListener("scroll", () => {
  following = scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 60;
});
element.addEventListener("scroll", (event) => {
  if (event.target.matches(".panel-body")) depth = event.target.scrollTop;
}, true);
watch("value", () => {
  for (const [id, open] of chosen) {
    const thought = document.getElementById(id);
    if (thought) thought.open = open;
  }
  const language = element.querySelector("[lang]")?.lang;
  if (language && element.closest("#header")) document.documentElement.lang = language;
  element.querySelector("a[download]")?.click();
  const panel = element.querySelector("dialog");
  if (!panel) {
    depth = 0;
    opener?.focus();
    opener = null;
  } else if (!panel.open) {
    opener ??= document.activeElement;
    panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      leave(panel);
    });
    panel.showModal();
    const body = panel.querySelector(".panel-body");
    body.scrollTop = depth;
    const token = panel.querySelector(".token[aria-pressed=true]")?.getBoundingClientRect();
    const below = panel.querySelector(".alternatives")?.getBoundingClientRect();
    if (token && below) body.scrollTop += Math.max(0, token.bottom + 12 - below.top); // what could have come hides it
  }
  element.querySelectorAll("form[data-before]").forEach(showDifference);
  const field = element.querySelector("[data-focus]");
  if (field && !field.dataset.focused) {
    field.dataset.focused = "yes";
    field.focus();
    field.setSelectionRange?.(field.value.length, field.value.length);
  }
  if (!scroller) return;
  const now = element.querySelectorAll(".turn").length;
  if (now > turns) following = true;
  turns = now;
  if (following) scroller.scrollTop = turns ? scroller.scrollHeight : 0;
});
