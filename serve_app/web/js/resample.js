// From whatever rate the sound card has to 16 kHz, without what a plain pick of samples would fold into speech.

const ZERO_CROSSINGS = 16;
const KAISER_BETA = 8.0; // about 80 dB below the pass band
const PASS_BAND = 0.94; // of the lower of the two Nyquist frequencies; the rest is the filter's slope

/**
 * A polyphase filter: Kaiser-windowed sinc, one row of taps for each of the phases that a rational ratio has.
 * `feed` takes and gives Float32Array; what is left over waits for the next call.
 */
export class Resampler {
  #up;
  #down;
  #taps;
  #rows;
  #history;
  #filled = 0;
  #phase = 0;

  constructor(fromHz, toHz) {
    const divisor = greatestCommonDivisor(fromHz, toHz);
    this.#up = toHz / divisor;
    this.#down = fromHz / divisor;
    const stretch = Math.max(1, fromHz / toHz);
    this.#taps = 2 * Math.ceil(ZERO_CROSSINGS * stretch);
    this.#rows = rows(this.#up, this.#taps, PASS_BAND / stretch);
    this.#history = new Float32Array(this.#taps - 1 + 16_384);
    this.#filled = this.#taps / 2 - 1; // silence before the first sample: it lies in the middle of the first window
  }

  feed(input) {
    const out = new Float32Array(Math.ceil(((this.#filled + input.length) * this.#up) / this.#down) + 1);
    let written = 0;
    for (let at = 0; at < input.length; at += 8192) {
      written = this.#feedSome(input.subarray(at, at + 8192), out, written);
    }
    return out.subarray(0, written);
  }

  #feedSome(input, out, written) {
    this.#history.set(input, this.#filled);
    this.#filled += input.length;
    let at = 0;
    while (at + this.#taps <= this.#filled) {
      out[written++] = this.#dot(this.#rows[this.#phase], at);
      this.#phase += this.#down;
      at += Math.floor(this.#phase / this.#up);
      this.#phase %= this.#up;
    }
    this.#history.copyWithin(0, at, this.#filled);
    this.#filled -= at;
    return written;
  }

  #dot(row, at) {
    let sum = 0;
    for (let tap = 0; tap < row.length; tap++) {
      sum += row[tap] * this.#history[at + tap];
    }
    return sum;
  }
}

/** −1…1 to signed 16 bit, clipped. */
export function toInt16(samples) {
  const pcm = new Int16Array(samples.length);
  for (let at = 0; at < samples.length; at++) {
    pcm[at] = Math.max(-32768, Math.min(32767, Math.round(samples[at] * 32768)));
  }
  return pcm;
}

/** For each phase the taps that meet the window's samples, with a gain of 1 at 0 Hz. `cutoff`: 1 is Nyquist. */
function rows(phases, taps, cutoff) {
  return Array.from({ length: phases }, (_, phase) => {
    const row = Float32Array.from({ length: taps }, (_, tap) => {
      const x = tap - (taps / 2 - 1) - phase / phases;
      return sinc(cutoff * x) * kaiser(x / (taps / 2));
    });
    const sum = row.reduce((total, tap) => total + tap, 0);
    return row.map((tap) => tap / sum);
  });
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
}

/** The modified Bessel function of order 0, by its series. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-10; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
