// One counter's connection: introduces itself, sends what is held, and comes back after a loss; no DOM.

import { PING, SAMPLE_RATE_HZ, handshake, parse } from "./protocol.js";
import { Ledger } from "./ledger.js";
import { Pulse } from "./pulse.js";
import { Reports } from "./reports.js";
import { Retry } from "./retry.js";

const BUFFERED_MAX_BYTES = 131_072;
const PUMP_AGAIN_S = 0.1;

/**
 * Events given to `on`: `{kind: "fase", phase, inS, text}` as the connection changes (`conectando`, `conectado`,
 * `reconectando`, `cheio`, `em_uso`, `recusado`, `chave_invalida`, `parado`), `{kind: "audio_perdido", seconds}`, and
 * the server's `ouvido`, `aviso`, `recomendar` (each once) and `erro` as `parse` gives them.
 * `held` is one of held.js, `world` what world.js makes.
 */
export class Link {
  #held;
  #on;
  #world;
  #ledger = new Ledger();
  #retry;
  #pulse;
  #reports = new Reports();
  #key = null;
  #socket = null;
  #welcomed = false;
  #acceptedS = 0;
  #askedS = 0;
  #lastError = "";
  #waiting = null;
  #pumping = null;

  constructor({ held, on, world }) {
    this.#held = held;
    this.#on = on;
    this.#world = world;
    this.#retry = new Retry(world.random);
    this.#pulse = new Pulse({ world, ask: () => this.say(PING), lost: () => this.#lost() });
  }

  /**
   * Connect with this key, and stay connected until `stop`. Another key than before is another counter: it gets
   * nothing of what was heard or answered before.
   */
  start(key) {
    this.stop();
    if (key !== this.#key) {
      this.#ledger.startAt(this.#held.end);
      this.#reports.clear();
    }
    this.#key = key;
    this.#connect();
  }

  /** Close, and do not come back. */
  stop() {
    this.#world.never(this.#waiting);
    this.#waiting = null;
    this.#drop();
    this.#tell("parado");
  }

  /** The network is back: do not wait any longer for the next attempt. */
  retryNow() {
    if (this.#socket === null && this.#waiting !== null) {
      this.#world.never(this.#waiting);
      this.#connect();
    }
  }

  /** Send a command; false when nobody is there to take it. */
  say(command) {
    if (this.#welcomed && command !== null) {
      this.#socket.send(command);
      return true;
    }
    return false;
  }

  /** Send a report, now or after the next connection, and again where it may have been lost: it counts once. */
  report(command) {
    this.#reports.add(command, (text) => this.say(text), this.#world.nowS());
  }

  /** Audio was added to what is held: send it. Where it gave way before it was sent, only a resume can go on. */
  pump() {
    this.#world.never(this.#pumping);
    if (this.#welcomed && this.#held.overrun) {
      this.#lost();
    } else if (this.#welcomed && !this.#sendHeld()) {
      this.#pumping = this.#world.later(PUMP_AGAIN_S, () => this.pump());
    }
  }

  /** False while the socket has too much to send already. */
  #sendHeld() {
    while (this.#socket.bufferedAmount < BUFFERED_MAX_BYTES) {
      const piece = this.#held.next();
      if (piece === null) {
        return true;
      }
      this.#socket.send(piece);
    }
    return false;
  }

  #connect() {
    this.#waiting = null;
    this.#askedS = 0;
    this.#lastError = "";
    this.#tell("conectando");
    const socket = this.#world.open();
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(handshake({
      key: this.#key, format: this.#held.format, session: this.#ledger.session,
      from: this.#ledger.neededFrom(this.#held.first),
    }));
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code }) => this.#lost(code);
    this.#pulse.opening();
  }

  #hear(data) {
    this.#pulse.heard();
    const said = parse(data);
    if (said?.kind === "sessao") {
      this.#welcome(said);
    } else if (said?.kind === "recebido") {
      this.#held.forget(this.#ledger.received(said.until));
    } else if (said?.kind === "reconectar") {
      this.#askedS = said.inS;
    } else if (said && said.kind !== "pong") {
      this.#pass(said);
    }
  }

  /** What concerns the page; a suggestion once, and of a refusal only how it ends. */
  #pass(said) {
    if (said.kind === "erro") {
      this.#askedS = said.retryS;
      this.#lastError = said.text;
    }
    const again = said.kind === "recomendar" && !this.#ledger.firstTime(said.id);
    if (this.#welcomed && !again) {
      this.#on(said);
    }
  }

  #welcome({ session, until }) {
    const plan = this.#held.resume(this.#ledger, session, until);
    plan.from === null ? this.#lost() : this.#begin();
    if (plan.lost > 0) {
      this.#on({ kind: "audio_perdido", seconds: plan.lost / SAMPLE_RATE_HZ });
    }
  }

  #begin() {
    this.#welcomed = true;
    this.#acceptedS = this.#world.nowS();
    this.#pulse.watch();
    this.#tell("conectado");
    this.#reports.again((text) => this.say(text), this.#acceptedS);
    this.pump();
  }

  #lost(code = 0) {
    const nowS = this.#world.nowS();
    if (this.#welcomed) {
      this.#retry.lasted(nowS - this.#acceptedS);
    }
    this.#drop();
    const { phase, inS, newSession } = this.#retry.after(code, this.#askedS, nowS);
    if (newSession) {
      this.#ledger.forgetSession();
    }
    this.#waiting = inS === null ? null : this.#world.later(inS, () => this.#connect());
    this.#tell(phase, inS ?? 0);
  }

  #drop() {
    this.#pulse.stop();
    this.#world.never(this.#pumping);
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomed = false;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      this.#held.disconnected();
    }
  }

  #tell(phase, inS = 0) {
    this.#on({ kind: "fase", phase, inS, text: this.#lastError });
  }
}
