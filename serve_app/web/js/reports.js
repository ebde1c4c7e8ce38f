// Reports of what became of suggestions: kept until they were sent, and sent again where that may have been in vain.

const REPEAT_S = 30;
const MAX = 100;

/** The service counts a report once however often it comes, so the last half minute's go again after a loss. */
export class Reports {
  #kept = [];

  /** `send(command)` says whether somebody took it. */
  add(command, send, nowS) {
    this.#kept = this.#kept.filter(({ sentS }) => sentS === null || nowS - sentS < REPEAT_S);
    this.#kept.push({ command, sentS: send(command) ? nowS : null });
    this.#kept.splice(0, this.#kept.length - MAX);
  }

  /** There is a new connection: send what was not sent, and what may have been lost with the last one. */
  again(send, nowS) {
    const kept = this.#kept;
    this.#kept = [];
    kept.forEach(({ command }) => this.add(command, send, nowS));
  }

  clear() {
    this.#kept = [];
  }
}
