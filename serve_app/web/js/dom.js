// The few things that every view does to the document; text is only ever text.

export function byId(id) {
  return document.getElementById(id);
}

/** An element with properties, data-* attributes and children (elements or texts). */
export function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** Set an element's text where it differs: live regions then speak of changes alone. */
export function say(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

export function show(element, yes) {
  element.hidden = !yes;
}

/** A data attribute that is there ("yes") or not. */
export function flag(element, name, yes) {
  if (yes) {
    element.dataset[name] = "yes";
  } else {
    delete element.dataset[name];
  }
}
