// What follows the end of a connection: whether to come back, when, and with which session; pure.

const INITIAL_S = 0.25;
const MAX_S = 15;
const MAX_ASKED_S = 60;
const STABLE_S = 10;
const REFUSED_RETRY_S = 30;
const IN_USE_PATIENCE_S = 45;
const REFUSED = Object.freeze({ 4001: "chave_invalida", 4002: "cheio", 4003: "recusado", 4004: "recusado", 4005: "em_uso" });

/** Waits double from failure to failure, half to whole, and never end before what the server asked. */
export class Retry {
  #random;
  #failures = 0;
  #inUseSinceS = null;

  constructor(random) {
    this.#random = random;
  }

  /** An accepted connection has ended after `seconds`; one that lasted was a good one. */
  lasted(seconds) {
    this.#inUseSinceS = null;
    if (seconds >= STABLE_S) {
      this.#failures = 0;
    }
  }

  /**
   * After a close with `code` (0: it was we who gave up): the `phase` to show, seconds until the next attempt (null:
   * none, another key is needed), and whether it must ask for a new session.
   */
  after(code, askedS, nowS) {
    const phase = REFUSED[code] ?? "reconectando";
    if (phase === "chave_invalida") {
      return { phase, inS: null, newSession: true };
    }
    const newSession = phase === "em_uso" && this.#stillInUse(nowS);
    return { phase, inS: this.#delayS(phase === "recusado" ? Math.max(askedS, REFUSED_RETRY_S) : askedS), newSession };
  }

  /** Our own connection of before may look alive to the server for a while; what stays is somebody else. */
  #stillInUse(nowS) {
    this.#inUseSinceS ??= nowS;
    const still = nowS - this.#inUseSinceS > IN_USE_PATIENCE_S;
    this.#inUseSinceS = still ? null : this.#inUseSinceS;
    return still;
  }

  #delayS(askedS) {
    const ceiling = Math.min(MAX_S, INITIAL_S * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.min(Math.max(0, askedS), MAX_ASKED_S) + ceiling * (0.5 + this.#random() / 2);
  }
}
