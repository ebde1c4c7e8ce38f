// On the audio thread: the microphone's frames become 16 kHz pieces of 250 ms, and a level every 60 ms.

import { Resampler, toInt16 } from "./resample.js";

const RATE_HZ = 16000;
const PIECE_SAMPLES = RATE_HZ / 4;
const LEVEL_SAMPLES = (RATE_HZ * 60) / 1000;

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE_HZ);
  #piece = new Int16Array(PIECE_SAMPLES);
  #filled = 0;
  #squares = 0;
  #counted = 0;
  #closed = false;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#closed = true;
      this.port.postMessage({ pcm: this.#piece.slice(0, this.#filled), last: true });
    };
  }

  process([input]) {
    if (this.#closed) {
      return false;
    }
    if (input.length) {
      this.#take(toInt16(this.#resampler.feed(mono(input))));
    }
    return true;
  }

  #take(pcm) {
    for (const sample of pcm) {
      this.#piece[this.#filled++] = sample;
      this.#squares += sample * sample;
      if (++this.#counted === LEVEL_SAMPLES) {
        this.port.postMessage({ rms: Math.sqrt(this.#squares / LEVEL_SAMPLES) });
        this.#squares = this.#counted = 0;
      }
      if (this.#filled === PIECE_SAMPLES) {
        this.port.postMessage({ pcm: this.#piece }, [this.#piece.buffer]);
        this.#piece = new Int16Array(PIECE_SAMPLES);
        this.#filled = 0;
      }
    }
  }
}

function mono(channels) {
  if (channels.length === 1) {
    return channels[0];
  }
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}

registerProcessor("balto-capture", Capture);
