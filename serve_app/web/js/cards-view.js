// The deck on the screen: newest on top, never taking the focus, never under a finger that meant another card.

import { Deck, current, isFinal } from "./deck.js";
import { byId, flag, make, say, show } from "./dom.js";
import { RESULT_WORDS, spoken } from "./words.js";

const TICK_MS = 250;
const SETTLE_MS = 400;
const ANSWERS = Object.freeze(["aceita", "recusada", "vendida"]);
const KEYS = Object.freeze({ a: "aceita", r: "recusada", v: "vendida" });

/** `report` gets `{suggestion, item, result}` as things become of items; `announce` a sentence for screen readers. */
export class CardsView {
  #deck;
  #report;
  #announce;
  #list = byId("cards");
  #views = new Map();
  #arrivedMs = -Infinity;

  constructor({ showMs, report, announce }) {
    this.#deck = new Deck(showMs);
    this.#report = report;
    this.#announce = announce;
    setInterval(() => this.#leave(this.#deck.tick(performance.now())), TICK_MS);
  }

  showFor(showMs) {
    this.#deck.showFor(showMs);
    for (const { bar } of this.#views.values()) {
      show(bar.parentElement, Number.isFinite(showMs));
    }
  }

  add(suggestion) {
    const leaving = this.#deck.add(suggestion, performance.now());
    const view = this.#build(suggestion);
    this.#views.set(suggestion.id, view);
    this.#list.prepend(view.element);
    this.#arrivedMs = performance.now();
    this.#leave(leaving);
    this.#announce(spoken(suggestion));
  }

  /** One key for the newest card; true when it meant something. */
  key(name) {
    const [card] = this.#deck.cards;
    if (!card || this.#settling()) {
      return false;
    }
    if (name === "d") {
      this.#leave(this.#deck.dismiss(card.id));
    } else if (KEYS[name] && current(card) >= 0) {
      this.#answer(card.id, current(card), KEYS[name]);
    } else {
      return false;
    }
    return true;
  }

  /** Just after a card came in and the others moved, a press was meant for what lay there before. */
  #settling() {
    return performance.now() - this.#arrivedMs < SETTLE_MS;
  }

  #answer(id, index, result) {
    const reports = this.#deck.answer(id, index, result, performance.now());
    reports.forEach(this.#report);
    if (reports.length) {
      const card = this.#deck.cards.find((one) => one.id === id);
      this.#announce(`${card.items[index].name}: ${RESULT_WORDS[result]}.`);
    }
    this.#update();
  }

  #leave({ left, reports }) {
    reports.forEach(this.#report);
    for (const id of left) {
      const { element } = this.#views.get(id);
      const focused = element.contains(document.activeElement);
      element.remove();
      this.#views.delete(id);
      if (focused) {
        byId("suggestions").focus({ preventScroll: true });
      }
    }
    this.#update();
  }

  #update() {
    const cards = this.#deck.cards;
    show(byId("none-yet"), cards.length === 0);
    cards.forEach((card, at) => this.#refresh(card, at === 0));
  }

  #refresh(card, newest) {
    const view = this.#views.get(card.id);
    const now = newest ? current(card) : -1;
    view.bar.style.transform = `scaleX(${this.#deck.left(card)})`;
    flag(view.element, "held", card.holds.size > 0);
    card.items.forEach((item, index) => {
      flag(view.items[index].element, "current", index === now);
      for (const [result, button] of Object.entries(view.items[index].buttons)) {
        button.setAttribute("aria-pressed", String(item.result === result));
        button.setAttribute("aria-disabled", String(isFinal(item)));
      }
    });
  }

  #build(suggestion) {
    const items = suggestion.items.map((item, index) => this.#buildItem(suggestion.id, item, index));
    const bar = make("span");
    const heard = make("p", { className: "card-heard" });
    say(heard, suggestion.heard ? `“${suggestion.heard}”` : "");
    const simulated = make("p", { className: "card-simulated" }, "Demonstração");
    show(simulated, suggestion.simulated);
    const dismiss = this.#button("Dispensar", `Dispensar: ${suggestion.items[0].name}`, () => {
      this.#leave(this.#deck.dismiss(suggestion.id));
    });
    const element = make("li", { className: "card" },
      make("div", { className: "card-top" }, heard, simulated, dismiss),
      make("ul", { className: "items" }, ...items.map((item) => item.element)),
      make("div", { className: "timer", ariaHidden: "true" }, bar));
    this.#holdWhileLookedAt(element, suggestion.id);
    return { element, items, bar };
  }

  #buildItem(id, item, index) {
    const buttons = Object.fromEntries(ANSWERS.map((result) => {
      const label = `${RESULT_WORDS[result]}: ${item.name}`;
      return [result, this.#button(RESULT_WORDS[result], label, () => this.#answer(id, index, result))];
    }));
    const element = make("li", { className: "item" },
      make("h3", {}, item.name), make("p", {}, item.why),
      make("div", { className: "answers" }, ...Object.values(buttons)));
    return { element, buttons };
  }

  #button(text, label, press) {
    const button = make("button", { type: "button", className: "plain", ariaLabel: label }, text);
    button.addEventListener("click", (event) => {
      const byKeyboard = event.detail === 0; // focus stays with its button when cards move
      if (byKeyboard || !this.#settling()) {
        press();
      }
    });
    return button;
  }

  /** Keyboard focus counts, a tap's does not: it stays where it was left. */
  #holdWhileLookedAt(element, id) {
    const hold = (by, yes) => this.#deck.hold(id, by, yes, performance.now());
    element.addEventListener("pointerenter", () => hold("pointer", true));
    element.addEventListener("pointerleave", () => hold("pointer", false));
    element.addEventListener("focusin", ({ target }) => hold("focus", target.matches(":focus-visible")));
    element.addEventListener("focusout", () => hold("focus", false));
  }
}
