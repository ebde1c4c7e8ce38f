// The messages of protocol generation 4, to and from typed objects; no sockets, no DOM.

export const SAMPLE_RATE_HZ = 16000;
export const MAX_TYPED_CHARS = 2000;
export const RESULTS = Object.freeze(["aceita", "recusada", "vendida", "ignorada"]);
const MAX_ITEMS = 3;

/** The first message. `from` is the oldest sample of the session that can still be sent. */
export function handshake({ key, format, session, from }) {
  return JSON.stringify({
    comando: "auth", versao: 4, api_key: key, formato: format, sessao: session, desde: session === null ? 0 : from,
  });
}

/** Words typed at the counter, treated as if heard; null when there are none or too many. */
export function typed(text) {
  const words = text.trim();
  return words && words.length <= MAX_TYPED_CHARS ? JSON.stringify({ comando: "texto", texto: words }) : null;
}

/** What became of a suggestion's item. */
export function outcome({ suggestion, item, result }) {
  return JSON.stringify({ comando: "retorno", sugestao: suggestion, resultado: result, item });
}

export const PING = JSON.stringify({ comando: "ping" });

/**
 * A message of the server, or null when it is none that we know: then it is ignored, as the protocol asks.
 * Every field is of its type; what people said stays plain text.
 */
export function parse(message) {
  const data = object(message);
  const read = data && READERS[data.comando];
  return read ? read(data) : null;
}

const READERS = Object.freeze(Object.assign(Object.create(null), {
  sessao: (data) => valid({ kind: "sessao", session: text(data.sessao), until: count(data.recebido_ate) }),
  recebido: (data) => valid({ kind: "recebido", until: count(data.ate) }),
  ouvido: (data) => valid({ kind: "ouvido", text: text(data.texto), typed: data.inicio_ms === data.fim_ms }),
  aviso: (data) => valid({ kind: "aviso", code: text(data.codigo), text: text(data.mensagem) }),
  erro: (data) => valid({
    kind: "erro", code: text(data.codigo), text: text(data.mensagem), retryS: count(data.tente_em_s) ?? 0,
  }),
  reconectar: (data) => ({ kind: "reconectar", inS: count(data.em_s) ?? 0 }),
  pong: () => ({ kind: "pong" }),
  recomendar: suggestion,
}));

function suggestion(data) {
  const listed = Array.isArray(data.itens) ? data.itens.slice(0, MAX_ITEMS).map(item) : [];
  const items = listed.filter((one) => one !== null);
  if (!items.length) {
    return null;
  }
  return valid({
    kind: "recomendar", id: text(data.id), items, heard: text(data.transcricao_base) ?? "",
    simulated: data.simulado === true,
  });
}

function item(data) {
  const name = text(data?.sugestao);
  return name === null ? null : { id: text(data.id) ?? "", name, why: text(data.explicacao) ?? "" };
}

/** The object itself when none of its fields is null. */
function valid(fields) {
  return Object.values(fields).includes(null) ? null : fields;
}

function object(message) {
  try {
    const data = JSON.parse(message);
    return typeof data === "object" && !Array.isArray(data) ? data : null;
  } catch {
    return null;
  }
}

function text(value) {
  return typeof value === "string" ? value : null;
}

function count(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}
