// The difference between a reply and its correction while somebody types: word by word, Chinese character by character.
// Does the same as `difference` in `views/markdown.py`.
const WORD = /(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+|\s+|./gsu;
const MAX_PAIRS = 4_000_000; // of words to compare; above it the whole middle counts as changed
const LEAST_COMMON = 0.5; // share of the letters of the shorter text

// Parts as [kind, text], where kind is "same", "del" or "ins".
function difference(before, after) {
  const old = before.match(WORD) ?? [];
  const now = after.match(WORD) ?? [];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, now.length) - start;
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const [left, right] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const parts = [["same", old.slice(0, start)], ...middle(left, right), ["same", old.slice(old.length - end)]];
  return parts.map(([kind, words]) => [kind, words.join("")]).filter(([, text]) => text);
}

// The part between the common beginning and end, by the longest common subsequence.
function middle(old, now) {
  if (old.length * now.length > MAX_PAIRS) return [["del", old], ["ins", now]];
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width); // its length in the words after [i, j]
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      common[i * width + j] =
        old[i] === now[j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  const parts = [];
  const add = (kind, word) => {
    if (parts.at(-1)?.[0] !== kind) parts.push([kind, []]);
    parts.at(-1)[1].push(word);
  };
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      add("same", old[i]);
      [i, j] = [i + 1, j + 1];
    } else if (j >= now.length || (i < old.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      add("del", old[i]);
      i += 1;
    } else {
      add("ins", now[j]);
      j += 1;
    }
  }
  return parts;
}

// Whether two texts have so little in common that nobody could read their changes word by word.
function isRewritten(before, after, parts) {
  const letters = (text) => text.replace(/\s/gu, "").length;
  const same = parts.reduce((sum, [kind, text]) => sum + (kind === "same" ? letters(text) : 0), 0);
  return same < LEAST_COMMON * Math.min(letters(before), letters(after));
}

function marked(kind, text) {
  if (kind === "same") return new Text(text);
  const part = document.createElement(kind);
  part.textContent = text;
  return part;
}

// One of two versions that have little in common, with its name.
function version(name, kind, text) {
  const whole = document.createElement("div");
  whole.className = "whole";
  const title = document.createElement("b");
  title.textContent = name;
  whole.append(title, marked(kind, text));
  return whole;
}

// Shows the difference below a form's text area, or hides it if there is none. Texts are inserted as text, not as HTML.
function showDifference(form) {
  const [before, after] = [form.dataset.before, form.querySelector("textarea").value];
  const parts = difference(before, after);
  const changes = form.querySelector(".changes");
  changes.hidden = parts.every(([kind]) => kind === "same");
  const drawn =
    isRewritten(before, after, parts)
      ? [version(changes.dataset.before, "del", before), version(changes.dataset.after, "ins", after)]
      : parts.map(([kind, text]) => marked(kind, text));
  changes.querySelector(".difference").replaceChildren(...drawn);
}
