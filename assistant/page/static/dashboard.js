// Runs once for the whole dashboard. The server draws the page; this script sends clicks and forms to it as events.
const ACTIONS = [
  "ask", "ask_discard_cycle", "ask_release", "ask_roll_back", "ask_start_live_comparison", "ask_stop_live_comparison",
  "cancel_cycle", "choose", "choose_candidate", "choose_side_by_side", "close", "discard_cycle", "example", "failure_seen",
  "go", "language", "open", "open_version", "plan", "release", "roll_back", "run_cycle", "start_live_comparison", "stop",
  "stop_live_comparison", "tick",
];
const send = (action, data) => ACTIONS.includes(action) && trigger(action, { ...data, do: action });
const isOurs = (event) => event.target.closest?.("#dashboard");

// The browser remembers the view and the language.
const remembered = (() => {
  try {
    return JSON.parse(localStorage.getItem("thumbtune-dashboard")) ?? {};
  } catch {
    return {};
  }
})();
const remember = (values) =>
  localStorage.setItem("thumbtune-dashboard", JSON.stringify(Object.assign(remembered, values)));

// Signing in and out: plain requests, because an event of Gradio's cannot set a cookie.
const base = location.pathname.replace(/\/dashboard\/?$/, "");
const post = (route, body) =>
  fetch(`${base}/admin/${route}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

async function signIn(form) {
  const notice = form.querySelector(".notice");
  const response = await post("login", Object.fromEntries(new FormData(form))).catch(() => null);
  if (response?.ok) return location.reload();
  const problem = await response?.json().catch(() => null);
  const text = form.dataset[problem?.error] ?? form.dataset.other;
  notice.textContent = text.replace("{seconds}", problem?.seconds ?? "");
  notice.hidden = false;
  form.password.select();
}

// A panel closes at once, so that nothing typed after it is lost; the server then removes it.
const closePanel = (panel) => {
  panel.dataset.closed = "yes";
  panel.close();
  send("close", {});
};

function forgetAskedMessage() {
  const field = document.querySelector("#dashboard textarea[name=prompt]");
  const asked = document.querySelector("#dashboard .prompt");
  if (field && field.value.trim() === asked?.textContent.trim()) field.value = "";
}

document.addEventListener("click", async (event) => {
  if (!isOurs(event)) return;
  const summary = event.target.closest("summary");
  if (summary?.parentElement.id) openDetails.set(summary.parentElement.id, !summary.parentElement.open);
  if (event.target.matches("dialog")) closePanel(event.target); // a click beside the panel
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "sign_out") {
    await post("logout", {});
    return location.reload();
  }
  if (button.dataset.do === "go") {
    remember({ view: button.dataset.view });
    window.scrollTo({ top: 0 });
  }
  if (button.classList.contains("waiting")) return; // pressed already
  if (button.dataset.do === "close") return closePanel(button.closest("dialog"));
  button.classList.add("waiting");
  if (button.dataset.do === "ask") forgetAskedMessage(); // the next question, not this message again
  send(button.dataset.do, { ...button.dataset });
});
document.addEventListener("submit", (event) => {
  if (!isOurs(event)) return;
  event.preventDefault();
  const form = event.target;
  if ("signIn" in form.dataset) return signIn(form);
  form.querySelector("[type=submit]").classList.add("waiting");
  send(form.dataset.do, { ...form.dataset, ...Object.fromEntries(new FormData(form)) });
});
document.addEventListener("keydown", (event) => {
  // In an input method, Enter picks a word; Safari sends it after the composition, with this code only.
  const isComposing = event.isComposing || event.keyCode === 229;
  if (!isOurs(event) || event.target.dataset.enter !== "submit" || isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// After each drawing: details keep their state, a panel is opened as a modal dialog, the tab gets its title.
const openDetails = new Map();
let opener = null;
const page = document.querySelector("#dashboard");
new MutationObserver(() => {
  for (const [id, open] of openDetails) {
    const details = document.getElementById(id);
    if (details) details.open = open;
  }
  const bar = page.querySelector(".bar[lang]");
  if (bar) {
    document.documentElement.lang = bar.lang;
    document.title = bar.dataset.title;
    remember({ language: bar.lang });
  }
  page.querySelectorAll(".waiting").forEach((button) => button.classList.remove("waiting"));
  // On a phone the tabs are wider than the screen.
  const tab = page.querySelector(".views [aria-current]");
  if (tab && !tab.dataset.shown) {
    tab.dataset.shown = "yes";
    tab.scrollIntoView({ block: "nearest", inline: "center" });
  }
  const log = page.querySelector(".working .log");
  if (log) log.scrollTop = log.scrollHeight;
  const panel = page.querySelector("dialog");
  if (!panel) {
    opener?.isConnected && opener.focus();
    opener = null;
  } else if (!panel.open && !panel.dataset.closed) {
    opener ??= document.activeElement;
    panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      closePanel(panel);
    });
    panel.showModal();
  }
  const linkToOwnTab = page.querySelector(".own-tab");
  if (linkToOwnTab && window.top !== window) {
    linkToOwnTab.hidden = false;
    linkToOwnTab.querySelector("a").href = location.href;
  }
  const field = page.querySelector("[data-focus]");
  if (field && !field.dataset.focused) {
    field.dataset.focused = "yes";
    field.focus();
  }
}).observe(page, { childList: true, subtree: true });

new MutationObserver(() => translateToasts(page.querySelector(".bar[lang]"))).observe(document.body, {
  childList: true,
  subtree: true,
});
// While a cycle is running, its progress is drawn again every two seconds.
setInterval(() => document.hidden || (page.querySelector("[data-follow]") && send("tick", {})), 2000);
send("open", { view: remembered.view ?? "", language: remembered.language ?? "" });
