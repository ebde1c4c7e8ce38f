// The suggestions on the screen: how long each stays, what became of its items; no DOM, no clock.

export const VISIBLE_MAX = 4;

/**
 * Instants are milliseconds of any clock that only goes forward. A card whose time is held (pointer or focus on it)
 * does not grow older while something is open on it; one with an accepted item waits for the sale.
 */
export class Deck {
  #cards = new Map();
  #showMs;

  constructor(showMs) {
    this.#showMs = showMs;
  }

  /** Newest first. */
  get cards() {
    return [...this.#cards.values()].reverse();
  }

  /** How long cards stay from now on; Infinity: until somebody answers. */
  showFor(showMs) {
    this.#showMs = showMs;
  }

  /** A new card; gives what has to leave for it, as `tick` does. */
  add(suggestion, nowMs) {
    const items = suggestion.items.map((item) => ({ ...item, result: null }));
    this.#cards.set(suggestion.id, { ...suggestion, items, seenMs: nowMs, ageMs: 0, holds: new Set() });
    const excess = [...this.#cards.values()].slice(0, Math.max(0, this.#cards.size - VISIBLE_MAX));
    return this.#leave(excess);
  }

  /** Something (`pointer`, `focus`) rests on the card, or leaves it. */
  hold(id, by, yes, nowMs) {
    const card = this.#cards.get(id);
    if (card) {
      this.#grow(card, nowMs);
      card.holds[yes ? "add" : "delete"](by);
    }
  }

  /** The attendant answers for one item: gives the reports to send. The same answer twice is one. */
  answer(id, index, result, nowMs) {
    const card = this.#cards.get(id);
    const item = card?.items[index];
    if (!item || item.result === result || isFinal(item)) {
      return [];
    }
    item.result = result;
    card.ageMs = 0;
    card.seenMs = nowMs;
    return [{ suggestion: id, item: item.id, result }];
  }

  /** The attendant sends the card away: what was not answered was not wanted now. */
  dismiss(id) {
    return this.#leave(this.#cards.has(id) ? [this.#cards.get(id)] : []);
  }

  /** Time goes on: gives `{left, reports}`, the ids of cards that leave and what to report of their items. */
  tick(nowMs) {
    const due = [];
    for (const card of this.#cards.values()) {
      this.#grow(card, nowMs);
      const settled = card.items.every(isFinal);
      const waits = card.items.some((item) => item.result === "aceita");
      if (settled ? card.ageMs >= SETTLED_MS : !waits && card.ageMs >= this.#showMs) {
        due.push(card);
      }
    }
    return this.#leave(due);
  }

  /** The share of a card's time that is left, 0 to 1. */
  left(card) {
    return Number.isFinite(this.#showMs) ? Math.max(0, 1 - card.ageMs / this.#showMs) : 1;
  }

  #grow(card, nowMs) {
    const held = card.holds.size > 0 && !card.items.every(isFinal);
    card.ageMs += held ? 0 : nowMs - card.seenMs;
    card.seenMs = nowMs;
  }

  #leave(cards) {
    cards.forEach((card) => this.#cards.delete(card.id));
    const reports = cards.flatMap((card) => card.items
      .filter((item) => item.result === null)
      .map((item) => ({ suggestion: card.id, item: item.id, result: "ignorada" })));
    return { left: cards.map((card) => card.id), reports };
  }
}

const SETTLED_MS = 1500;

/** Nothing more can become of it. */
export function isFinal(item) {
  return item.result === "recusada" || item.result === "vendida";
}

/** The index of the item that a key answers for: the first that waits, -1 where none does. */
export function current(card) {
  const fresh = card.items.findIndex((item) => item.result === null);
  return fresh >= 0 ? fresh : card.items.findIndex((item) => item.result === "aceita");
}
