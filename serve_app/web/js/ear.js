// Whether somebody seems to speak, by the rule of the service's own gate for energy; for the eye only.

const FRAMES_OF_6_S = 100; // one level every 60 ms
const FLOOR_PERCENTILE = 0.15;
const MARGIN_DB = 4;
const QUIETEST_DBFS = -70; // quieter than this is nobody's voice
const ONSET = 2; // of the last 3 levels
const HANGOVER_FRAMES = 8; // 480 ms

/** Fed the RMS of 60 ms in int16 units; gives the level in dBFS, the floor under it, and whether it looks like speech. */
export class Ear {
  #levels = [];
  #recent = [];
  #left = 0;

  hear(rms) {
    const level = 20 * Math.log10(Math.max(rms, 0.5) / 32768);
    this.#levels.push(level);
    this.#levels.splice(0, this.#levels.length - FRAMES_OF_6_S);
    const floor = percentile(this.#levels, FLOOR_PERCENTILE);
    this.#recent.push(level > Math.max(floor + MARGIN_DB, QUIETEST_DBFS));
    this.#recent.splice(0, this.#recent.length - 3);
    const onset = this.#recent.filter(Boolean).length >= ONSET;
    this.#left = onset ? HANGOVER_FRAMES : Math.max(0, this.#left - 1);
    return { level, floor, speech: this.#left > 0 };
  }

  /** The microphone was closed: what it heard says nothing of the next one. */
  reset() {
    this.#levels = [];
    this.#recent = [];
    this.#left = 0;
  }
}

/** 0 to 100 for a meter that begins at −60 dBFS and is full at −10. */
export function percentOf(level) {
  return Math.round(Math.max(0, Math.min(100, (level + 60) * 2)));
}

/** The RMS of an Int16Array. */
export function rmsOf(pcm) {
  let squares = 0;
  for (const sample of pcm) {
    squares += sample * sample;
  }
  return pcm.length ? Math.sqrt(squares / pcm.length) : 0;
}

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))];
}
