// Interactions as they come: server-sent events, or a question every two seconds where the server has no more to give.
import { make, say } from "../../../js/dom.js";
import { ask } from "../api.js";
import { table, tableRow, title } from "../parts.js";
import { ROW_COLUMNS } from "../rows.js";

const SHOWN_MAX = 100;
const ASK_EVERY_MS = 2000;

export async function livePage({ onLeave }) {
  const first = await ask("/api/console/vivo");
  const list = new LiveList(first.interacoes);
  const sign = make("span", { className: "tag", data: { tone: "warn" }, textContent: "conectando", role: "status" });
  const pause = make("button", { type: "button", textContent: "Pausar" });
  const source = new Source((rows) => list.add(rows), (text, tone) => {
    say(sign, text);
    sign.dataset.tone = tone;
  });
  pause.addEventListener("click", () => {
    const paused = !source.paused;
    say(pause, paused ? "Continuar" : "Pausar");
    paused ? source.close() : source.open();
  });
  source.open();
  onLeave(() => source.close());
  return [title("Ao vivo"), make("p", { className: "row middle" }, sign, pause), make("section", { className: "card" }, list.element)];
}

class LiveList {
  constructor(rows) {
    this.seen = new Set();
    this.element = make("div", {});
    this.add([...rows].reverse(), false);
    if (!this.body) {
      this.element.append(make("p", { className: "soft", textContent: "Nada ainda. O que os balcões ouvirem aparece aqui." }));
    }
  }

  /** Rows, oldest first; those already shown are left out. */
  add(rows, fresh = true) {
    const added = rows.filter((row) => !this.seen.has(row.interaction_id));
    for (const row of added) {
      this.seen.add(row.interaction_id);
      this.put(row, fresh);
    }
    while (this.seen.size > 10 * SHOWN_MAX) {
      this.seen.delete(this.seen.values().next().value);
    }
  }

  put(row, fresh) {
    if (!this.body) {
      this.element.replaceChildren(table("Últimas interações, a mais nova primeiro", ROW_COLUMNS, [row]));
      this.body = this.element.querySelector("tbody");
      return;
    }
    const line = tableRow(ROW_COLUMNS, row);
    this.body.prepend(line);
    if (fresh) {
      line.dataset.fresh = "yes";
      setTimeout(() => delete line.dataset.fresh, 1500);
    }
    if (this.body.childElementCount > SHOWN_MAX) {
      this.body.lastElementChild.remove();
    }
  }
}

class Source {
  constructor(rows, said) {
    this.rows = rows;
    this.said = said;
    this.paused = true;
  }

  open() {
    this.paused = false;
    this.events = new EventSource("/api/console/vivo");
    this.events.onopen = () => this.said("ao vivo", "good");
    this.events.onmessage = (event) => this.rows(JSON.parse(event.data));
    this.events.addEventListener("estado", (event) => (event.data === "fora" ? this.said("banco de dados fora do ar", "bad") : this.said("ao vivo", "good")));
    this.events.onerror = () => this.events.readyState === EventSource.CLOSED && this.askNow();
  }

  close() {
    this.paused = true;
    this.events?.close();
    clearTimeout(this.timer);
    this.said("em pausa", "warn");
  }

  async askNow() {
    try {
      const found = await ask("/api/console/vivo");
      this.rows(found.interacoes.reverse());
      this.said("a cada 2 segundos", "good");
    } catch (error) {
      this.said(error.message, "bad");
    }
    if (!this.paused) {
      this.timer = setTimeout(() => this.askNow(), ASK_EVERY_MS);
    }
  }
}
