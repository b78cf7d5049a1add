// Runs once for each HTML block of the page. The server draws the blocks; this sends clicks and forms as events.
const ACTIONS = [
  "ask_delete", "ask_rename", "cancel", "check_for_changes", "choose", "close", "continue_with", "correct",
  "delete", "edit", "example", "export_json", "export_markdown", "feedback", "finish", "follow", "import_file",
  "keep_correction", "language", "my_feedback", "new_conversation", "open_conversation", "preset", "rate_reply", "remove_correction",
  "rename", "resend", "retry", "search", "send_all", "set_consent", "set_mode", "set_preferences", "settings", "show_sibling", "take_back", "token",
  "tokens", "undo", "version_card", "withdraw",
];
let order = 0; // number of the event: events sent together may arrive in another order
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
// The panel closes at once, so that nothing typed is lost; the server removes it when it has the values of its form.
const closePanel = (panel) => {
  act("close", filled(panel.querySelector("form") ?? document.createElement("form")));
  panel.dataset.closed = "yes";
  panel.close();
  opener?.focus();
  opener = null;
};
const drawer = (open) => {
  // A class of the sidebar itself: Gradio prefixes our styles with its container, so no selector can begin at the body.
  document.querySelector("#sidebar").classList.toggle("drawer-open", open);
  document.querySelector("#header [data-do=drawer]")?.setAttribute("aria-expanded", open);
};

element.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) opened.set(summary.parentElement.id, !summary.parentElement.open);
  if (event.target.matches("dialog")) closePanel(event.target); // a click beside the panel
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  button.closest("[popover]")?.hidePopover();
  goOnAfter(button.dataset.do, button.dataset.turn, button.ariaLabel);
  if (button.dataset.do === "show_sibling") pressed = { turn: button.dataset.turn, top: button.getBoundingClientRect().top };
  if (["copy", "copy_code"].includes(button.dataset.do)) copyBeside(button, document.querySelector("#header .bar"));
  else if (button.dataset.do === "drawer") {
    const open = !document.querySelector("#sidebar.drawer-open");
    drawer(open);
    const field = touch.matches ? "#sidebar-top .close" : "#sidebar-top input";
    document.querySelector(open ? field : "#header [data-do=drawer]")?.focus();
  } else if (button.dataset.do === "close") closePanel(button.closest("dialog"));
  else act(button.dataset.do, { ...button.dataset });
  if (["new_conversation", "open_conversation"].includes(button.dataset.do)) drawer(false);
});
element.addEventListener("submit", (event) => {
  event.preventDefault();
  goOnAfter(event.target.dataset.do, event.target.dataset.turn);
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
    if (following) scroller.scrollTop = scroller.scrollHeight; // the growing difference must not hide the save button
  }
  const form = event.target.closest("form[data-input]");
  clearTimeout(typed);
  if (form) typed = setTimeout(() => act(form.dataset.input, filled(form)), 200);
});
element.addEventListener("keydown", (event) => {
  // While text is composed in an input method, Enter chooses a word.
  if (event.target.dataset.enter !== "submit" || isComposing(event)) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// The bar at the top is always there, and so hears what belongs to no block.
if (element.closest("#header")) {
  const translate = () => translateToasts(element.querySelector(".bar"));
  new MutationObserver(translate).observe(document.body, { childList: true, subtree: true });
  // Gradio's link begins at the server's root, also where a proxy offers the app under a path.
  const { root } = window.gradio_config ?? {};
  if (root) document.querySelector("link[rel=manifest]")?.setAttribute("href", `${root}/manifest.json`);
  // A click on the page behind the drawer closes it.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#main") && !event.target.closest("[data-do=drawer]")) drawer(false);
  });
}

const scroller = element.closest("#scroller");
if (scroller)
  listenToKeys(() => {
    goOnAfter("cancel");
    act("cancel", {});
  });
element.addEventListener("beforetoggle", ({ target, newState }) => {
  if (newState === "open" && target.matches(".menu")) placeMenu(target);
}, true);

// Tabs of one browser notify each other of changes; for those on other devices a tab asks the server on getting the focus.
const tabs = scroller && new BroadcastChannel("thumbtune");
const state = () => element.querySelector("[data-blocks]").dataset.state;
let told; // the state that the other tabs know of
const tellTabs = () => {
  if (told !== state()) tabs.postMessage((told = state()));
};
if (scroller) {
  tabs.addEventListener("message", ({ data }) => data !== state() && act("check_for_changes", {}));
  let checked = 0; // milliseconds since 1970
  const check = () => {
    if (document.visibilityState !== "visible" || Date.now() - checked < 1000) return;
    checked = Date.now();
    act("check_for_changes", {});
  };
  document.addEventListener("visibilitychange", check);
  window.addEventListener("focus", check);
}

// The server empties the message box when the reply begins. What was typed after the message had been sent comes back.
let typedSince = "";
const messageBox = () => document.querySelector("#message textarea");
if (scroller) document.addEventListener("input", ({ target }) => {
  const sent = target === messageBox() && target.dataset.sent;
  if (sent) typedSince = target.value.startsWith(sent) ? target.value.slice(sent.length) : "";
});
const setMessage = (text) => {
  messageBox().value = text;
  messageBox().dispatchEvent(new Event("input", { bubbles: true })); // Gradio takes the new value over
};
const restoreTyped = () => {
  const box = messageBox();
  if (!typedSince || box.value) return;
  delete box.dataset.sent;
  setMessage(typedSince);
  typedSince = "";
};

// What stands in the message box survives a reload, and the new page that Gradio makes after a lost connection.
const keepDraft = () => sessionStorage.setItem("thumbtune-draft", messageBox()?.value ?? "");
let draft = scroller && sessionStorage.getItem("thumbtune-draft");
if (scroller) document.addEventListener("input", ({ target }) => target === messageBox() && keepDraft());
const restoreDraft = () => {
  if (draft === undefined) return;
  if (draft && !messageBox().value) setMessage(draft);
  draft = undefined;
  messageBox().dir = "auto";
  messageBox().enterKeyHint = touch.matches ? "enter" : "send";
  if (!touch.matches && document.activeElement === document.body) messageBox().focus();
};

// The address names the conversation, so that a reload, a bookmark and "back" find it.
const address = () => new URLSearchParams(location.search).get("c") ?? "";
let isOpened = false;
const showAddress = ({ conversation, title, busy }) => {
  document.title = title ? `${title} · Thumbtune` : "Thumbtune";
  const isFirstMessage = !address() && busy;
  if (conversation !== address()) {
    const url = new URL(location);
    if (conversation) url.searchParams.set("c", conversation);
    else url.searchParams.delete("c");
    history[isOpened && !isFirstMessage ? "pushState" : "replaceState"](history.state, "", url);
  }
  isOpened = true;
};
if (scroller) window.addEventListener("popstate", () => {
  if (address()) act("open_conversation", { turn: address() });
  else document.querySelector("#header [data-do=new_conversation]").click();
});

// After each update: keep thoughts as open or closed as the person left them; scroll down unless they have scrolled up.
const opened = new Map(); // id of a thought → whether the person has opened it
let following = true;
let pressed = null; // the arrow to another branch that was pressed: where it leads, and where it stood
let turns = 0;
let opener = null; // the element that had the focus before the panel opened
let depth = 0; // scroll position of the open panel, in pixels
scroller?.addEventListener("scroll", () => {
  following = scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 60;
  showWayToEnd();
});
const toEnd = document.querySelector("#to-end") ?? Object.assign(document.createElement("button"), { id: "to-end", type: "button" });
const showWayToEnd = () => {
  const label = document.querySelector("#header .bar")?.dataset.toEnd ?? "";
  if (toEnd.ariaLabel !== label) Object.assign(toEnd, { ariaLabel: label, title: label, textContent: "↓" });
  toEnd.hidden = following;
  toEnd.style.bottom = `${document.querySelector("#composer").offsetHeight + 10}px`;
};
if (scroller) {
  toEnd.hidden = true;
  toEnd.addEventListener("click", () => {
    following = true;
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" });
    if (!touch.matches) messageBox().focus({ preventScroll: true });
  });
  document.querySelector("#main").append(toEnd);
}
element.addEventListener("scroll", (event) => {
  if (event.target.matches(".panel-body")) depth = event.target.scrollTop;
}, true);
const container = element.querySelector("[data-blocks]");
const draw = container && blockDrawer(container, () => act("send_all", {}));
watch("value", () => {
  draw?.(props.value);
  for (const [id, open] of opened) {
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
  } else if (!panel.open && !panel.dataset.closed) {
    opener ??= document.activeElement;
    panel.addEventListener("cancel", (event) => {
      event.preventDefault();
      closePanel(panel);
    });
    panel.showModal();
    const body = panel.querySelector(".panel-body");
    body.scrollTop = depth;
    const token = panel.querySelector(".token[aria-pressed=true]")?.getBoundingClientRect();
    const below = panel.querySelector(".alternatives")?.getBoundingClientRect();
    if (token && below) body.scrollTop += Math.max(0, token.bottom + 12 - below.top); // the alternatives must not hide the token
  }
  element.querySelectorAll("form[data-before]").forEach(showDifference);
  const field = element.querySelector("[data-focus]");
  if (field && !field.dataset.focused) {
    field.dataset.focused = "yes";
    field.focus();
    field.setSelectionRange?.(field.value.length, field.value.length);
  }
  setTimeout(goOn);
  for (const time of element.querySelectorAll("time[datetime]")) time.textContent = shortTime(time.dateTime, container.lang);
  if (!scroller) return;
  tellTabs();
  showAddress(container.dataset);
  if (element.querySelector("[data-unfollowed]")) act("follow", {});
  setTimeout(() => {
    restoreDraft();
    restoreTyped(); // the message box follows in the same update
    keepDraft();
  });
  const now = element.querySelectorAll(".turn").length;
  if (now > turns && !pressed) following = true;
  turns = now;
  if (pressed) holdArrows(scroller, container, pressed);
  else {
    container.style.paddingBottom = ""; // the room that held arrows of another branch
    if (following) scroller.scrollTop = turns ? scroller.scrollHeight : 0;
  }
  pressed = null;
  setTimeout(showWayToEnd); // the bar, which has its name, follows in the same update
  element.querySelector(".notice")?.scrollIntoView({ block: "nearest" });
});
