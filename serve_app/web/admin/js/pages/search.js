// Finding interactions, and taking them away as a file in the browser's time zone.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { OUTCOMES, ZONE } from "../format.js";
import { button, choice, field, form, table, tableRow, tell, title } from "../parts.js";
import { ROW_COLUMNS } from "../rows.js";
import { counterOptions } from "../state.js";

const OUTCOME_OPTIONS = [["", "todos"], ...Object.entries(OUTCOMES).map(([name, [text]]) => [name, text])];

export async function searchPage({ query }) {
  const given = Object.fromEntries(["texto", "balcao", "desfecho", "de", "ate"].map((name) => [name, query.get(name) ?? ""]));
  const asked = { texto: given.texto, balcao: given.balcao, desfecho: given.desfecho, ...between(given) };
  const found = await ask("/api/console/busca", asked);
  const search = form(
    [
      field("Palavras", "texto", { value: given.texto, maxLength: 200, placeholder: "dor de cabeça" }),
      choice("Balcão", "balcao", counterOptions(), given.balcao),
      choice("Desfecho", "desfecho", OUTCOME_OPTIONS, given.desfecho),
      field("De", "de", { type: "date", value: given.de }),
      field("Até", "ate", { type: "date", value: given.ate }),
    ],
    "Buscar",
    async (wanted) => (location.hash = `#/busca?${new URLSearchParams(wanted)}`),
  );
  search.role = "search";
  return [
    title("Busca"),
    make("section", { className: "card" }, search, exportLinks(given)),
    make("section", { className: "card" }, results(asked, found)),
  ];
}

function results(asked, first) {
  const list = table("Interações, a mais nova primeiro; sem data, as dos últimos 30 dias", ROW_COLUMNS, first.interacoes, "Nada foi encontrado.");
  const place = make("div", {}, list);
  let before = first.antes;
  const more = button("Mostrar mais", async () => {
    const next = await ask("/api/console/busca", { ...asked, antes: before });
    place.querySelector("tbody").append(...next.interacoes.map((row) => tableRow(ROW_COLUMNS, row)));
    tell(`Mais ${next.interacoes.length} interações.`);
    before = next.antes;
    more.hidden = before === null;
  });
  more.hidden = before === null;
  place.append(more);
  return place;
}

/** Local days as instants: from the beginning of one to the end of the other. */
function between({ de, ate }) {
  const start = de ? new Date(`${de}T00:00:00`) : null;
  const end = ate ? new Date(`${ate}T00:00:00`) : null;
  end?.setDate(end.getDate() + 1);
  return { inicio: start?.toISOString() ?? "", fim: end?.toISOString() ?? "" };
}

function exportLinks(given) {
  const wanted = Object.entries({ balcao: given.balcao, ...between(given), fuso: ZONE }).filter(([, value]) => value);
  const query = new URLSearchParams(wanted);
  const link = (kind, text) => make("a", { href: `/api/export/${kind}?${query}`, download: "", textContent: text });
  const about = `Baixar este balcão e período, com horários no fuso ${ZONE}: `;
  return make("p", {}, about, link("xlsx", "planilha (XLSX)"), " ou ", link("csv", "CSV"), ".");
}
