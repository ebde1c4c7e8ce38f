// How interactions look in a list.
import { make } from "../../js/dom.js";
import { instant, ms } from "./format.js";
import { outcome } from "./parts.js";
import { counterName } from "./state.js";

const delay = (row) => (row.sent_to_counter_at ? new Date(row.sent_to_counter_at) - new Date(row.speech_ended_at ?? row.sent_to_counter_at) : null);
const offered = (row) => (row.items ?? []).map((item) => item.sugestao ?? item.id).join("; ");

export const ROW_COLUMNS = [
  ["Quando", (row) => make("a", { href: `#/interacao/${encodeURIComponent(row.interaction_id)}`, textContent: instant(row.happened_at) })],
  ["Balcão", (row) => counterName(row.counter_id)],
  ["Desfecho", (row) => outcome(row.outcome)],
  ["O que foi entendido", (row) => row.text, "said"],
  ["Sugestão", (row) => (offered(row) ? `${offered(row)}${row.simulated ? " (simulado)" : ""}` : "")],
  ["Atraso", (row) => (delay(row) == null ? "" : ms(delay(row))), "number"],
];
