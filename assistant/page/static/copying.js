// Copies the answer or the code beside a button, and says so. The bar at the top has the texts in its attributes.
async function copyBeside(button, bar) {
  const code = button.closest(".code")?.querySelector("code");
  const text = code ? code.textContent : textOf(button.closest(".reply").querySelector(".answer"));
  if (!(await copyText(text))) return tell(bar.dataset.copyFailed);
  button.dataset.copied = bar.dataset.copied;
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

// Shows a line above the message box for some seconds.
function tell(text) {
  const line = Object.assign(document.createElement("p"), { className: "told", role: "alert", textContent: text });
  document.querySelector("#frame").append(line);
  setTimeout(() => line.remove(), 6000);
}

// The text of an answer: formulas as they were written, because the text of a drawn square would be "x2".
function textOf(answer) {
  const formulas = [...answer.querySelectorAll("math")].map((formula) => [new Text(formula.dataset.tex), formula]);
  for (const [text, formula] of formulas) formula.replaceWith(text);
  answer.classList.add("copying"); // hides what is not part of the answer
  const text = answer.innerText.trim();
  answer.classList.remove("copying");
  for (const [text, formula] of formulas) text.replaceWith(formula);
  return text;
}

// Browsers offer the clipboard on https and localhost only, and may refuse it; the older way works elsewhere too.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return copied;
  }
}
