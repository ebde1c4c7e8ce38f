// Whether the server is still there: a browser's socket notices a dead network only after minutes.

const HANDSHAKE_TIMEOUT_S = 15;
const ASK_EVERY_S = 10;
const SILENT_TOO_LONG_S = 25;

/** Calls `ask` from time to time, and `lost` when nothing came for too long. */
export class Pulse {
  #world;
  #ask;
  #lost;
  #timer = null;
  #heardS = 0;

  constructor({ world, ask, lost }) {
    this.#world = world;
    this.#ask = ask;
    this.#lost = lost;
  }

  /** A socket is being opened: it has a while to be welcomed. */
  opening() {
    this.stop();
    this.#timer = this.#world.later(HANDSHAKE_TIMEOUT_S, this.#lost);
  }

  /** It was welcomed. */
  watch() {
    this.stop();
    this.#timer = this.#world.later(ASK_EVERY_S, () => {
      if (this.#world.nowS() - this.#heardS > SILENT_TOO_LONG_S) {
        this.#lost();
      } else {
        this.#ask();
        this.watch();
      }
    });
  }

  /** Something came. */
  heard() {
    this.#heardS = this.#world.nowS();
  }

  stop() {
    this.#world.never(this.#timer);
  }
}
