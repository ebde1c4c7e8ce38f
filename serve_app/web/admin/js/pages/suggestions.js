// Shown → accepted → sold, with how sure that is, and what the learned order is worth.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { plot } from "../charts.js";
import { chosen, filters } from "../filters.js";
import { difference, interval, number, perSuggestion, share } from "../format.js";
import { figures, intervalLine, table, title } from "../parts.js";

const HOURS = [...Array(24).keys()];

export async function suggestionsPage({ query }) {
  const found = await ask("/api/console/sugestoes", chosen(query, "30"));
  const total = found.total;
  return [
    title("Sugestões"),
    filters("sugestoes", query, "30"),
    figures(
      ["Mostradas", number(total.mostradas)],
      ["Aceitas", `${number(total.aceitas)} (${share(total.aceitacao?.taxa)})`],
      ["Vendidas", `${number(total.vendidas)} (${share(total.venda?.taxa)})`],
      ["Recusadas", number(total.recusadas)],
    ),
    gain(found.ganho),
    byHour(found.por_hora),
    results("Por cesta", "Cesta", found.por_cesta, (row) => row.nome || "(sem cesta)"),
    results("Por balcão", "Balcão", found.por_balcao, (row) => row.nome || row.id),
    make("p", { className: "soft", textContent: "Aceitas inclui vendidas. Os intervalos são de 95 % (Wilson): com poucas sugestões são largos, e duas linhas cujos intervalos se cobrem podem não ser diferentes." }),
  ];
}

function results(heading, first, rows, name) {
  const most = Math.max(0, ...rows.map((row) => row.aceitacao?.alto ?? 0));
  const columns = [
    [first, name],
    ["Mostradas", (row) => number(row.mostradas), "number"],
    ["Aceitas", (row) => number(row.aceitas), "number"],
    ["Aceitação", (row) => share(row.aceitacao?.taxa), "number"],
    ["Intervalo", (row) => interval(row.aceitacao)],
    ["", (row) => intervalLine(row.aceitacao, most)],
    ["Vendidas", (row) => number(row.vendidas), "number"],
    ["Venda", (row) => `${share(row.venda?.taxa)} (${interval(row.venda)})`],
  ];
  return make("section", { className: "card" }, make("h2", { textContent: heading }), table(`${heading}, as mais mostradas primeiro`, columns, rows));
}

function byHour(rows) {
  const at = (hour) => rows.find((row) => row.id === String(hour))?.aceitacao;
  const line = (label, part, colour, kind) => ({ label, colour, kind, format: share, values: HOURS.map((hour) => at(hour)?.[part] ?? null) });
  const lines = [line("De", "baixo", "one", "edge"), line("Aceitação", "taxa", "one", "line"), line("Até", "alto", "one", "edge")];
  return plot("Aceitação por hora do dia, com intervalo de 95 %", HOURS, 1, lines, { bands: [[3, 1]], x: (hour) => (Number.isInteger(hour) && hour >= 0 && hour < 24 ? `${hour}h` : "") });
}

function gain(found) {
  const heading = make("h2", { textContent: "Ordem aprendida" });
  if (!found) {
    const none = "Ainda não há o que comparar: a ordem só é aprendida com dados suficientes, e uma parte das sugestões mantém a ordem do farmacêutico.";
    return make("section", { className: "card" }, heading, make("p", { className: "soft", textContent: none }));
  }
  const sure = found.baixo > 0 ? "A ordem aprendida vende mais." : found.alto < 0 ? "A ordem aprendida vende menos: convém desligá-la." : "A diferença pode ser acaso.";
  const text = `Itens aceitos por sugestão: ${perSuggestion(found.aprendida)} com a ordem aprendida, ${perSuggestion(found.mantida)} com a do farmacêutico; diferença ${difference(found.diferenca)} (95 %: ${difference(found.baixo)} a ${difference(found.alto)}), em ${number(found.sugestoes)} sugestões. ${sure}`;
  return make("section", { className: "card" }, heading, make("p", { textContent: text }));
}
