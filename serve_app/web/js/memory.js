// What this browser keeps: the counter's key and how the page should look; never what was said.

const KEY = "balto.chave";
const PREFERENCES = "balto.preferencias";
const DEFAULTS = Object.freeze({ showS: 45, shortcuts: true, theme: "auto", deviceId: "", listening: false });
const MAX_KEY_CHARS = 512;
const LOOPBACK = Object.freeze(["localhost", "127.0.0.1", "[::1]"]);

/** A browser that keeps nothing (private window, storage full) still works until it is closed. */
export class Memory {
  #storage;
  #own = new Map();

  constructor(storage) {
    this.#storage = storage;
  }

  get key() {
    return this.#read(KEY);
  }

  /** Keep a key; null forgets it. */
  set key(key) {
    this.#write(KEY, key);
  }

  /** All preferences, each of its type; what cannot be read is the default. */
  get preferences() {
    try {
      const kept = JSON.parse(this.#read(PREFERENCES) ?? "{}");
      const right = Object.entries(DEFAULTS).filter(([name, value]) => typeof kept[name] === typeof value);
      return { ...DEFAULTS, ...Object.fromEntries(right.map(([name]) => [name, kept[name]])) };
    } catch {
      return { ...DEFAULTS };
    }
  }

  prefer(changes) {
    this.#write(PREFERENCES, JSON.stringify({ ...this.preferences, ...changes }));
  }

  #read(name) {
    try {
      return this.#own.get(name) ?? this.#storage.getItem(name);
    } catch {
      return null;
    }
  }

  #write(name, value) {
    this.#own.delete(name);
    try {
      if (value === null) {
        this.#storage.removeItem(name);
      } else {
        this.#storage.setItem(name, value);
      }
    } catch {
      this.#own.set(name, value);
    }
  }
}

/** A key as somebody typed or pasted it, or null when it cannot be one. */
export function cleanKey(text) {
  const key = text.trim();
  return key && key.length <= MAX_KEY_CHARS && /^\S+$/.test(key) ? key : null;
}

/** A key for the eye: its beginning and its end. */
export function masked(key) {
  return key.length < 12 ? "••••" : `${key.slice(0, 3)}••••${key.slice(-4)}`;
}

/**
 * The key in a link's fragment, for development on this very machine. Anywhere else a link could make a counter send
 * what is said to a stranger's account, so there it is not read.
 */
export function keyOfLink(hostname, fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, "")).get("chave");
  return given !== null && LOOPBACK.includes(hostname) ? cleanKey(given) : null;
}
