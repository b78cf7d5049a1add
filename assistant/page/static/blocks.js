// Draws an element's blocks. An update names every block in its order, and brings the HTML of those that are new: of a
// long conversation, most are here already. `missing` is called if the browser does not have one after all.
function blockDrawer(container, missing) {
  const htmlOf = new Map(); // key of a block → its HTML, also of blocks shown before
  let shown = []; // [key, element], in order
  return ({ order, html, attributes }) => {
    for (const [key, text] of Object.entries(html)) htmlOf.set(key, text);
    if (!order.every((key) => htmlOf.has(key))) return missing();
    for (const [name, value] of Object.entries(attributes)) container.setAttribute(name, value);
    const kept = new Map(shown);
    const next = order.map((key) => [key, kept.get(key)]);
    const used = new Set(next.map(([, block]) => block));
    next.forEach((entry, place) => {
      if (entry[1]) return;
      const fresh = elementOf(htmlOf.get(entry[0]));
      const old = shown[place]?.[1];
      // A block that has changed keeps its place, its focus and what was typed into it.
      entry[1] = old && !used.has(old) ? changed(old, fresh) : fresh;
      used.add(entry[1]);
    });
    for (const [, block] of shown) if (!used.has(block)) block.remove();
    next.forEach(([, block], place) => {
      if (container.children[place] !== block) container.insertBefore(block, container.children[place] ?? null);
    });
    shown = next;
    for (const key of htmlOf.keys()) {
      if (htmlOf.size <= MAX_BLOCKS) break;
      if (!order.includes(key)) htmlOf.delete(key);
    }
  };
}
const MAX_BLOCKS = 2000; // whose HTML the browser keeps

function elementOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// Makes `old` look like `fresh`, and returns what is to stand in its place.
function changed(old, fresh) {
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return fresh;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return old;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [now, next] = [[...old.childNodes], [...fresh.childNodes]];
  next.forEach((child, place) => (place < now.length ? changed(now[place], child) : old.append(child)));
  for (const child of now.slice(next.length)) child.remove();
  return old;
}

// A moment in the browser's own zone, as short as it can be: the time today, else the date.
function shortTime(moment, language) {
  const [then, now] = [new Date(moment), new Date()];
  const isToday = then.toDateString() === now.toDateString();
  const date = { month: "short", day: "numeric", ...(then.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) };
  return new Intl.DateTimeFormat(language || "en", isToday ? { timeStyle: "short" } : date).format(then);
}
