// The last minute of what was heard, until the server says that it is safe to forget.

/**
 * PCM by its position in the stream, in samples, with a cursor between what was sent and what was not.
 * Never holds more than `capacity` samples: the oldest give way.
 */
export class Ring {
  #samples;
  #first = 0;
  #end = 0;
  #cursor = 0;

  constructor(capacity) {
    this.#samples = new Int16Array(capacity);
  }

  /** The oldest sample still held. */
  get first() {
    return this.#first;
  }

  /** One past the newest sample. */
  get end() {
    return this.#end;
  }

  /** True when samples gave way before they were sent. */
  get overrun() {
    return this.#cursor < this.#first;
  }

  /** Add an Int16Array to the end. */
  append(pcm) {
    const capacity = this.#samples.length;
    const kept = pcm.length > capacity ? pcm.subarray(pcm.length - capacity) : pcm;
    this.#end += pcm.length - kept.length;
    const at = this.#end % capacity;
    const head = Math.min(kept.length, capacity - at);
    this.#samples.set(kept.subarray(0, head), at);
    this.#samples.set(kept.subarray(head), 0);
    this.#end += kept.length;
    this.#first = Math.max(this.#first, this.#end - capacity);
  }

  /** Up to `count` unsent samples as a copy, and move the cursor past them; null when all was sent. */
  take(count) {
    const begin = Math.max(this.#cursor, this.#first);
    const size = Math.min(count, this.#end - begin);
    if (size <= 0) {
      return null;
    }
    const capacity = this.#samples.length;
    const at = begin % capacity;
    const head = Math.min(size, capacity - at);
    const piece = new Int16Array(size);
    piece.set(this.#samples.subarray(at, at + head));
    piece.set(this.#samples.subarray(0, size - head), head);
    this.#cursor = begin + size;
    return piece;
  }

  /** Let go of everything before `sample`; what was not sent yet stays. */
  forget(sample) {
    this.#first = Math.max(this.#first, Math.min(sample, this.#cursor));
  }

  /** Send again from `sample` on; it lies between `first` and `end`. */
  rewind(sample) {
    this.#cursor = sample;
  }
}
