// What the counter knows of its session: where its samples lie in the stream, what is safe, what was shown.

const MAX_SHOWN = 10_000;

/** Positions are samples of the stream: everything that this page heard since it was opened. */
export class Ledger {
  session = null;
  /** The stream's sample that is the session's sample 0: not 0 when a session was begun in mid-stream. */
  base = 0;
  /** Samples of the stream before this one need not be sent again. */
  safe = 0;
  #shown = new Set();

  /** The `desde` of a handshake: the session's oldest sample that is neither safe nor gone. */
  neededFrom(heldFrom) {
    return this.session === null ? 0 : Math.max(0, Math.max(heldFrom, this.safe) - this.base);
  }

  /**
   * Decide after `sessao`: the stream's samples `heldFrom` to `heldUntil` can be sent (again).
   * Gives `{from, lost}` in samples; `from` null: what the server asks for is gone, only a new session can go on.
   */
  welcomed(session, until, heldFrom, heldUntil) {
    const same = session === this.session;
    const wanted = same ? this.base + until : this.safe;
    if (same && (wanted < heldFrom || wanted > heldUntil)) {
      const lost = Math.max(0, heldFrom - Math.max(wanted, this.safe));
      this.forgetSession();
      this.safe = Math.max(this.safe, heldFrom);
      return { from: null, lost };
    }
    const from = Math.max(wanted, heldFrom);
    const lost = from === heldFrom ? Math.max(0, from - this.safe) : 0;
    this.base = same ? this.base : from - until;
    this.session = session;
    this.safe = Math.max(this.safe, from);
    return { from, lost };
  }

  /** A container goes on where it begins, whatever the server asked for: its first sample is `until`. */
  aligned(session, until, from) {
    const lost = Math.max(0, from - this.safe);
    this.session = session;
    this.base = from - until;
    this.safe = Math.max(this.safe, from);
    return { from, lost };
  }

  /** Another counter begins at this sample of the stream: nothing before it is its own. */
  startAt(sample) {
    this.session = null;
    this.safe = sample;
  }

  /** The next handshake asks for a new session. */
  forgetSession() {
    this.session = null;
  }

  /** The server keeps the session's samples before `until`: the stream's sample up to which all is safe. */
  received(until) {
    this.safe = Math.max(this.safe, this.base + until);
    return this.safe;
  }

  /** True once per suggestion (the last 10,000 ids are remembered). */
  firstTime(id) {
    if (this.#shown.has(id)) {
      return false;
    }
    this.#shown.add(id);
    if (this.#shown.size > MAX_SHOWN) {
      this.#shown.delete(this.#shown.values().next().value);
    }
    return true;
  }
}
