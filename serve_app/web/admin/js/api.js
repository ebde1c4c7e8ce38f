// Talks to the service: JSON in and out, the session's CSRF token on every order, errors as words for people.

export class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let csrf = "";
let signedOut = () => {};

export function onSignedOut(heard) {
  signedOut = heard;
}

/** Who asks (`GET /api/eu`); remembers the token that orders repeat. */
export async function whoAmI() {
  const me = await ask("/api/eu");
  csrf = me.csrf;
  return me;
}

/** GET `path` with the parameters that have a value. */
export function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  const query = new URLSearchParams(given).toString();
  return send("GET", query ? `${path}?${query}` : path);
}

export async function send(method, path, body) {
  const headers = { Accept: "application/json", "X-Balto-CSRF": csrf };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Trouble(0, "O servidor não respondeu. Confira a rede e tente de novo.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    return answer;
  }
  if (response.status === 401 && csrf && path.startsWith("/api/")) {
    csrf = "";
    signedOut();
  }
  throw new Trouble(response.status, sentence(answer.error ?? `erro ${response.status}`));
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
