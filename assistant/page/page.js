// Runs once per HTML block of the page. The server draws; this passes clicks and forms on as events.
const ACTIONS = [
  "cancel", "edit", "example", "feedback", "finish", "fresh",
  "language", "resend", "retry", "undo", "vote", "withdraw",
];
let order = 0; // events sent together may arrive in another order; the server goes by this number
const act = (name, data) => ACTIONS.includes(name) && trigger(name, { ...data, order: ++order });
const filled = (form) => {
  const fields = new FormData(form);
  return { ...form.dataset, text: fields.get("text") ?? "", reasons: fields.getAll("reason") };
};

async function copyAnswer(button) {
  await navigator.clipboard.writeText(button.closest(".reply").querySelector(".answer").innerText.trim());
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

element.classList.toggle("cannot-copy", !navigator.clipboard); // browsers offer it on https and localhost only

element.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) chosen.set(summary.parentElement.id, !summary.parentElement.open);
  const button = event.target.closest("button[data-do]");
  if (button?.dataset.do === "copy") copyAnswer(button);
  else if (button) act(button.dataset.do, { ...button.dataset });
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.target.dataset.do, filled(event.target));
});
element.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-change]");
  if (form) act(form.dataset.change, filled(form));
});
element.addEventListener("keydown", (event) => {
  // While composing, Enter picks a word in an input method.
  if (event.target.dataset.enter !== "submit" || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
  if (event.key === "Escape") act("cancel", {});
});

// After each drawing: keep thoughts as the person left them, follow the text unless they scrolled up.
const chosen = new Map();
const scroller = element.closest("#scroller");
if (scroller) element.setAttribute("role", "log"); // read out when complete: a reply being written is aria-busy
let following = true;
let turns = 0;
scroller?.addEventListener("scroll", () => {
  following = scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 60;
});
watch("value", () => {
  for (const [id, open] of chosen) {
    const thought = document.getElementById(id);
    if (thought) thought.open = open;
  }
  const language = element.querySelector("[lang]")?.lang;
  if (language) document.documentElement.lang = language;
  const field = element.querySelector("[data-focus]");
  if (field && !field.dataset.focused) {
    field.dataset.focused = "yes";
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
  if (!scroller) return;
  const now = element.querySelectorAll(".turn").length;
  if (now > turns) following = true;
  turns = now;
  if (following) scroller.scrollTop = turns ? scroller.scrollHeight : 0;
});
