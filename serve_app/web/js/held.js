// What is held of the audio until it is safe: PCM in a ring, or the containers that MediaRecorder makes.

import { SAMPLE_RATE_HZ } from "./protocol.js";
import { Ring } from "./ring.js";

export const HELD_S = 60;
/** 250 ms: fewer messages are cheaper for the server, and an utterance is not noticeably later. */
export const PIECE_SAMPLES = SAMPLE_RATE_HZ / 4;

/** PCM, which can be sent again from any sample that is still held. */
export class HeldPcm {
  format = "pcm_s16le_16k";
  #ring = new Ring(HELD_S * SAMPLE_RATE_HZ);

  get first() {
    return this.#ring.first;
  }

  get end() {
    return this.#ring.end;
  }

  get overrun() {
    return this.#ring.overrun;
  }

  append(pcm) {
    this.#ring.append(pcm);
  }

  /** The next piece to send, null when all was sent. */
  next() {
    return this.#ring.take(PIECE_SAMPLES);
  }

  forget(sample) {
    this.#ring.forget(sample);
  }

  /** The server takes the session's audio from `until` on: put the cursor there. */
  resume(ledger, session, until) {
    const plan = ledger.welcomed(session, until, this.#ring.first, this.#ring.end);
    if (plan.from !== null) {
      this.#ring.rewind(plan.from);
    }
    return plan;
  }

  disconnected() {}
}

/**
 * WebM, which can only be sent from a container's beginning: a new one is begun when the connection is lost, and held
 * whole until it is sent. Positions are estimated by the clock.
 */
export class HeldWebm {
  format = "webm_opus";
  overrun = false;
  #begin;
  #nowS;
  #startedS;
  #chunks = [];
  #sent = 0;

  /** `begin` starts a new container, whose chunks come to `append`. */
  constructor({ begin, nowS = () => performance.now() / 1000 }) {
    this.#begin = begin;
    this.#nowS = nowS;
    this.#startedS = nowS();
    this.first = 0;
  }

  get end() {
    return this.#position();
  }

  append(chunk) {
    this.#chunks.push(chunk);
    if (this.#sent === 0 && this.#position() - this.first > HELD_S * SAMPLE_RATE_HZ) {
      this.#renew();
    }
  }

  next() {
    if (!this.#chunks.length) {
      return null;
    }
    this.#sent += 1;
    return this.#chunks.shift();
  }

  forget() {}

  resume(ledger, session, until) {
    if (!this.#chunks.length) {
      this.first = this.#position();
    }
    return ledger.aligned(session, until, this.first);
  }

  disconnected() {
    if (this.#sent) {
      this.#renew();
    }
  }

  #renew() {
    this.#chunks = [];
    this.#sent = 0;
    this.first = this.#position();
    this.#begin();
  }

  #position() {
    return Math.round((this.#nowS() - this.#startedS) * SAMPLE_RATE_HZ);
  }
}
