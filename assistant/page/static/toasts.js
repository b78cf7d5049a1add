// Gradio's own notices stand in corners of every page and are in English, whatever the page's language: a lost
// connection, and a handler that failed. The bar on top has the words for them.
function tellToasts(bar) {
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
