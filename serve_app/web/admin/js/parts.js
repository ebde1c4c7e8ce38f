// The parts that pages are made of: tables, forms, figures, questions; text is only ever text.
import { byId, make, say } from "../../js/dom.js";
import { OUTCOMES } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

export function title(text) {
  document.title = `${text} · Balto`;
  return make("h1", { textContent: text, tabIndex: -1 });
}

/** A table; a column is [heading, cell(row) → text or element, class]. */
export function table(caption, columns, rows, none = "Nada neste período.") {
  if (rows.length === 0) {
    return make("p", { className: "soft", textContent: none });
  }
  const head = columns.map(([text, , kind = ""]) => make("th", { scope: "col", textContent: text, className: kind }));
  const body = make("tbody", {}, ...rows.map((row) => tableRow(columns, row)));
  const made = make("table", {}, make("caption", { textContent: caption }), make("thead", {}, make("tr", {}, ...head)), body);
  return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, made);
}

export function tableRow(columns, row) {
  return make("tr", {}, ...columns.map(([, cell, kind = ""]) => make("td", { className: kind }, cell(row) ?? "")));
}

export function figures(...pairs) {
  const boxes = pairs.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value })));
  return make("dl", { className: "figures" }, ...boxes);
}

export function field(label, name, properties = {}) {
  const input = make("input", { name, autocomplete: "off", ...properties });
  return make("label", {}, label, input);
}

/** A labelled choice; options are [value, text]. */
export function choice(label, name, options, chosen, changed) {
  const items = options.map(([value, text]) => make("option", { value, textContent: text, selected: value === chosen }));
  const select = make("select", { name }, ...items);
  if (changed) {
    select.addEventListener("change", () => changed(select.value));
  }
  return make("label", {}, label, select);
}

/** A form whose order is carried out once at a time, and whose trouble is said beside it. */
export function form(fields, button, order, { className = "row" } = {}) {
  const trouble = make("p", { className: "trouble", role: "alert" });
  const submit = make("button", { type: "submit", className: "main", textContent: button });
  const made = make("form", { className }, ...fields, submit, trouble);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    say(trouble, "");
    submit.disabled = true;
    try {
      await order(Object.fromEntries(new FormData(made)), made);
    } catch (error) {
      say(trouble, error.message);
    } finally {
      submit.disabled = false;
    }
  });
  return made;
}

/** A button whose order may fail; what went wrong is said in `#news` and beside it. */
export function button(text, order, { className = "", label = "" } = {}) {
  const made = make("button", { type: "button", textContent: text, className });
  if (label) {
    made.ariaLabel = label;
  }
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await order();
    } catch (error) {
      tell(error.message);
      made.after(make("span", { className: "trouble", textContent: ` ${error.message}` }));
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

/** Say something to who cannot see the page. */
export function tell(text) {
  say(byId("news"), text);
}

/** Ask before something that cannot be undone; whether it was confirmed. */
export function confirmed(question, detail) {
  const dialog = byId("ask");
  say(byId("ask-title"), question);
  say(byId("ask-text"), detail);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Show a key, this once. */
export function showKey(key) {
  const dialog = byId("key");
  byId("key-text").textContent = key;
  byId("key-copy").onclick = () => navigator.clipboard?.writeText(key).then(() => tell("Chave copiada."));
  dialog.showModal();
  dialog.addEventListener("close", () => (byId("key-text").textContent = ""), { once: true });
}

export function outcome(name) {
  const [text, tone] = OUTCOMES[name] ?? [name, ""];
  return make("span", { className: "tag", data: { tone }, textContent: text });
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  return element;
}

/** A share's interval as a line with a dot, on a scale from 0 to `most`; the numbers stand beside it. */
export function intervalLine(found, most) {
  const svg = draw("svg", { class: "ci", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (found) {
    const at = (value) => (most ? (96 * value) / most + 2 : 2);
    svg.append(draw("line", { class: "all", x1: 0, x2: 100, y1: 5, y2: 5 }));
    svg.append(draw("line", { x1: at(found.baixo), x2: at(found.alto), y1: 5, y2: 5 }));
    svg.append(draw("circle", { cx: at(found.taxa), cy: 5, r: 2.5 }));
  }
  return svg;
}

/** A stretch of time from `from` to `to` within `whole`, all in ms. */
export function stretch(from, to, first, last) {
  const span = Math.max(last - first, 1);
  const width = Math.max((100 * (to - from)) / span, 0.4);
  const svg = draw("svg", { class: "fall", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(draw("rect", { x: Math.min((100 * (from - first)) / span, 99.6), y: 1, width, height: 8 }));
  return svg;
}
