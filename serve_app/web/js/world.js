// What a connection needs of the world around it.

/** The browser's sockets, to `url`, and its clocks; seconds everywhere. */
export function browserWorld(url) {
  return Object.freeze({
    open: () => new WebSocket(url),
    later: (seconds, what) => setTimeout(what, seconds * 1000),
    never: (timer) => clearTimeout(timer),
    nowS: () => performance.now() / 1000,
    random: Math.random,
  });
}
