// Runs once for the whole tour. The server draws the page; this script sends clicks and forms to it as events.
const ACTIONS = ["chain_begin", "chain_take", "compare", "language", "open", "think", "vote", "write_two"];
const send = (action, data) => ACTIONS.includes(action) && trigger(action, { ...data, do: action });
const page = document.querySelector("#tour");
const bar = () => page.querySelector(".bar[lang]");

// The chat's link names the language; the browser remembers the last one.
const stored = "thumbtune-tour-language";
const wanted = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem(stored) ?? "";

// Gradio's page names another address as its base, which links within the page would lead to.
const show = (id) => {
  document.getElementById(id)?.scrollIntoView();
  document.getElementById(`title-${id}`)?.focus({ preventScroll: true });
};
addEventListener("hashchange", () => show(location.hash.slice(1)));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#tour a[href^='#']");
  if (link) {
    event.preventDefault();
    location.hash = link.hash;
    show(link.hash.slice(1));
  }
  const button = event.target.closest?.("#tour button[data-do]");
  if (button?.dataset.do === "language") read = claimInView();
  if (button) send(button.dataset.do, { ...button.dataset });
});
document.addEventListener("submit", (event) => {
  if (!event.target.closest?.("#tour")) return;
  event.preventDefault();
  send(event.target.dataset.do, { ...event.target.dataset, ...Object.fromEntries(new FormData(event.target, event.submitter)) });
});

// The other language takes more or less room: the claim that is being read stays where it was.
let read = null;
const top = (element) => element.getBoundingClientRect().top;
const claimInView = () => {
  const title = [...page.querySelectorAll("h2[id]")].findLast((each) => top(each) < innerHeight / 2);
  return title ? { id: title.id, top: top(title), until: Date.now() + 1500 } : null;
};
const isKeepingPlace = () => read !== null && Date.now() < read.until;
const keepPlace = () => {
  const title = isKeepingPlace() && document.getElementById(read.id);
  if (title) scrollBy({ top: top(title) - read.top, behavior: "instant" });
};

// A full field takes no more characters: it says why.
document.addEventListener("input", ({ target }) => {
  const limit = target.closest?.("#tour form")?.querySelector(".limit");
  if (limit) limit.textContent = target.value.length >= target.maxLength ? limit.dataset.limit : "";
});

// A block that is drawn again takes the focus away: it returns to the control of the same name.
let focused = null;
document.addEventListener("focusin", (event) => (focused = event.target.dataset.key ?? null));
const keepFocus = () => {
  if (focused && document.activeElement === document.body)
    page.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
};

// A screen reader is told what was drawn or written once it is whole: blocks that are drawn again would all be read.
const spoken = Object.assign(document.createElement("p"), { className: "spoken", role: "status" });
page.append(spoken);
const said = new Map();
const speak = () => {
  for (const live of page.querySelectorAll(".live[aria-busy=false]")) {
    const parts = [...live.querySelectorAll(".sentence, .answer, .rows")];
    const block = live.closest("[id^=tour-]").id, text = parts.map((part) => part.innerText.trim()).join("\n");
    if (text !== (said.get(block) ?? "")) spoken.replaceChildren(text);
    said.set(block, text);
  }
};

// After each drawing: the tab gets its title, and the first time the claim that the address names is shown.
let isShown = false;
new MutationObserver(() => {
  const drawn = bar();
  if (!drawn) return;
  document.documentElement.lang = drawn.lang;
  document.title = drawn.dataset.title;
  const address = new URL(location);
  if (address.searchParams.has("lang") && address.searchParams.get("lang") !== drawn.lang) {
    address.searchParams.set("lang", drawn.lang);
    history.replaceState(history.state, "", address);
  }
  localStorage.setItem(stored, drawn.lang);
  translateToasts(drawn);
  keepFocus();
  keepPlace();
  speak();
  const rows = page.querySelector(".rows:not([data-shown])");
  if (rows) {
    rows.dataset.shown = "yes";
    if (!isKeepingPlace()) rows.scrollIntoView({ block: "nearest" });
  }
  if (!isShown && page.querySelector("section h2")) {
    isShown = true;
    if (location.hash) show(location.hash.slice(1));
  }
}).observe(document.body, { childList: true, subtree: true });
send("open", { language: wanted });
