// What this page listens to: the microphone, the sample conversation, or nothing; one at a time.

import { Ear, rmsOf } from "./ear.js";
import { HeldPcm, HeldWebm } from "./held.js";
import { NoMicrophone, capturePcm, captureWebm, method, openStream } from "./microphone.js";
import { fetchSample, play } from "./sample.js";

/** After a pause the service still waits for the silence that ends what was being said: it gets it. */
const CLOSING_SILENCE = 16 * 1200;
const SAMPLE_URL = "/amostra/balcao.wav";

/**
 * `changed` is told of every state: `parado`, `pedindo`, `ouvindo`, `pausado`, `exemplo`, or why there is no microphone.
 * `heard` gets what Ear says of the sound, `added` is called when there is audio to send.
 */
export class Listening {
  state = "parado";
  held;
  #changed;
  #heard;
  #added;
  #ear = new Ear();
  #method = method();
  #open = null;
  #stopSample = null;
  #work = Promise.resolve();

  constructor({ changed, heard, added }) {
    this.#changed = changed;
    this.#heard = heard;
    this.#added = added;
    this.held = this.#method === "webm" ? new HeldWebm({ begin: () => this.#open?.begin() }) : new HeldPcm();
  }

  /** Only PCM can be mixed from two sources: a container has one. */
  get canPlaySample() {
    return this.#method === "pcm";
  }

  /** Open the microphone; what is wrong becomes the state. */
  listen(deviceId) {
    return this.#inTurn(async () => {
      await this.#close();
      this.#become("pedindo");
      try {
        await this.#capture(deviceId);
        this.#become("ouvindo");
      } catch (error) {
        if (!(error instanceof NoMicrophone)) {
          console.error("microphone_failed", error.name);
        }
        this.#become(error.code && error instanceof NoMicrophone ? error.code : "ocupado");
      }
    });
  }

  /** Let the microphone go, or end the sample. */
  pause() {
    return this.#inTurn(async () => {
      const before = this.state;
      if (before === "ouvindo" || before === "exemplo") {
        await this.#close();
        this.#become(before === "exemplo" ? "parado" : "pausado");
      }
    });
  }

  /** Play the sample conversation instead of the microphone; raises an Error for the attendant where it cannot. */
  playSample() {
    return this.#inTurn(async () => {
      const samples = await fetchSample(SAMPLE_URL);
      await this.#close();
      this.#become("exemplo");
      this.#stopSample = play({
        samples, onEnd: () => this.pause(), onPcm: (pcm) => {
          this.#take(pcm);
          this.#heard(this.#ear.hear(rmsOf(pcm)));
        },
      });
    });
  }

  async #capture(deviceId) {
    if (this.#method === null) {
      throw new NoMicrophone("sem_suporte");
    }
    if (this.#method === "webm" && this.#open) {
      this.#open.pause(false);
      return;
    }
    const stream = await openStream(deviceId);
    try {
      this.#open = await this.#captureOf(stream);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop()); // or it would be open while the sign says it is not
      throw error;
    }
  }

  async #captureOf(stream) {
    const onEnded = () => this.#ended();
    return this.#method === "pcm"
      ? capturePcm({
        stream, onEnded, onPcm: (pcm) => this.#take(pcm), onLevel: (rms) => this.#heard(this.#ear.hear(rms)),
      })
      : captureWebm({ stream, onEnded, onChunk: (chunk) => this.#take(chunk) });
  }

  async #close() {
    this.#stopSample?.();
    const wasHeard = this.#stopSample !== null || this.#open !== null;
    this.#stopSample = null;
    if (this.#method === "webm") {
      this.#open?.pause(true);
      return;
    }
    const open = this.#open;
    this.#open = null;
    await open?.close();
    if (wasHeard) {
      this.#take(new Int16Array(CLOSING_SILENCE));
    }
    this.#ear.reset();
  }

  #take(piece) {
    this.held.append(piece);
    this.#added();
  }

  #ended() {
    this.#inTurn(async () => {
      await this.#close();
      this.#open = null;
      this.#become("desconectado");
    });
  }

  #become(state) {
    this.state = state;
    this.#changed(state);
  }

  /** Two presses in a row are two things one after the other. */
  #inTurn(what) {
    const turn = this.#work.then(what);
    this.#work = turn.catch(() => undefined);
    return turn;
  }
}
