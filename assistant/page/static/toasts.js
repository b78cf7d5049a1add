// Translates Gradio's own notices of a lost connection and of a failed handler, which are always in English. The bar at
// the top has the texts in its attributes.
function translateToasts(bar) {
  for (const toast of document.querySelectorAll(".toast-body.error")) {
    const text = toast.querySelector(".toast-message-text");
    if (!text || !bar || toast.lang === bar.lang) continue;
    toast.dataset.lost ??= text.textContent.includes("Connection") ? "yes" : "";
    toast.lang = bar.lang;
    toast.querySelector(".toast-title").textContent = bar.dataset.toastTitle;
    text.textContent = toast.dataset.lost ? bar.dataset.toastLost : bar.dataset.toastFailed;
    toast.querySelector(".toast-close")?.setAttribute("aria-label", bar.dataset.toastClose);
  }
}
