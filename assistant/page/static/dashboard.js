// Runs once, for the whole dashboard. The server draws; this passes clicks and forms on as events.
const ACTIONS = [
  "ask", "ask_release", "ask_roll_back", "ask_stop_trial", "cancel_cycle", "choose", "choose_candidate",
  "choose_rival", "close", "example", "go", "language", "open", "open_version", "plan", "release", "roll_back",
  "run_cycle", "start_trial", "stop", "stop_trial", "tick",
];
const act = (name, data) => ACTIONS.includes(name) && trigger(name, { ...data, do: name });
const inside = (event) => event.target.closest?.("#office");
const kept = (() => {
  try {
    return JSON.parse(localStorage.getItem("thumbtune-dashboard")) ?? {};
  } catch {
    return {};
  }
})();
const keep = (what) => localStorage.setItem("thumbtune-dashboard", JSON.stringify(Object.assign(kept, what)));
const base = location.pathname.replace(/\/dashboard\/?$/, "");
const post = (place, body) =>
  fetch(`${base}/admin/${place}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

async function signIn(form) {
  const line = form.querySelector(".notice");
  const answer = await post("login", Object.fromEntries(new FormData(form))).catch(() => null);
  if (answer?.ok) return location.reload();
  const said = await answer?.json().catch(() => null);
  const text = form.dataset[said?.error] ?? form.dataset.other;
  line.textContent = text.replace("{seconds}", said?.seconds ?? "");
  line.hidden = false;
  form.password.select();
}

document.addEventListener("click", async (event) => {
  if (!inside(event)) return;
  const summary = event.target.closest("summary");
  if (summary?.parentElement.id) chosen.set(summary.parentElement.id, !summary.parentElement.open);
  if (event.target.matches("dialog")) act("close", {}); // beside the panel
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "sign_out") {
    await post("logout", {});
    return location.reload();
  }
  if (button.dataset.do === "go") {
    keep({ view: button.dataset.view });
    window.scrollTo({ top: 0 });
  }
  button.classList.add("waiting");
  act(button.dataset.do, { ...button.dataset });
});
document.addEventListener("submit", (event) => {
  if (!inside(event)) return;
  event.preventDefault();
  const form = event.target;
  if ("signIn" in form.dataset) return signIn(form);
  form.querySelector("[type=submit]").classList.add("waiting");
  act(form.dataset.do, { ...form.dataset, ...Object.fromEntries(new FormData(form)) });
});
document.addEventListener("keydown", (event) => {
  // While composing, Enter picks a word in an input method.
  if (!inside(event) || event.target.dataset.enter !== "submit" || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// After each drawing: what was open stays open, a panel is opened, the tab has its name.
const chosen = new Map();
let opener = null;
const office = document.querySelector("#office");
new MutationObserver(() => {
  for (const [id, open] of chosen) {
    const part = document.getElementById(id);
    if (part) part.open = open;
  }
  const bar = office.querySelector(".bar[lang]");
  if (bar) {
    document.documentElement.lang = bar.lang;
    document.title = bar.dataset.title;
    keep({ language: bar.lang });
  }
  office.querySelectorAll(".waiting").forEach((button) => button.classList.remove("waiting"));
  const log = office.querySelector(".working .log");
  if (log) log.scrollTop = log.scrollHeight;
  const panel = office.querySelector("dialog");
  if (!panel) {
    opener?.isConnected && opener.focus();
    opener = null;
  } else if (!panel.open) {
    opener ??= document.activeElement;
    panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      act("close", {});
    });
    panel.showModal();
  }
  const apart = office.querySelector(".own-tab");
  if (apart && window.top !== window) {
    apart.hidden = false;
    apart.querySelector("a").href = location.href;
  }
  const field = office.querySelector("[data-focus]");
  if (field && !field.dataset.focused) {
    field.dataset.focused = "yes";
    field.focus();
  }
}).observe(office, { childList: true, subtree: true });

new MutationObserver(() => tellToasts(office.querySelector(".bar[lang]"))).observe(document.body, {
  childList: true,
  subtree: true,
});
setInterval(() => document.hidden || (office.querySelector("[data-follow]") && act("tick", {})), 2000);
act("open", { view: kept.view ?? "", language: kept.language ?? "" });
