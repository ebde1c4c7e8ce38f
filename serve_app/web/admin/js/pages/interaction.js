// One interaction: its instants as a waterfall, what came of it, and everything that was measured.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { instant, instantFine, usdFine } from "../format.js";
import { figures, outcome, stretch, table, title } from "../parts.js";
import { counterName } from "../state.js";

export async function interactionPage({ id }) {
  const { interacao: row, etapas: steps } = await ask(`/api/console/interacao/${encodeURIComponent(id)}`);
  return [
    title("Interação"),
    make("p", {}, outcome(row.outcome), ` ${counterName(row.counter_id)}, ${instant(row.happened_at)}`),
    make("blockquote", { className: "card", textContent: row.text || "Nada foi entendido." }),
    figures(
      ["Duração da fala", row.duration_s == null ? "–" : `${row.duration_s.toFixed(2).replace(".", ",")} s`],
      ["Cesta", row.cesta || "–"],
      ["Transcrição", row.stt_provider || "–"],
      ["Custo", usdFine((row.stt_cost_usd ?? 0) + (row.advisor_cost_usd ?? 0))],
    ),
    make("section", { className: "card" }, make("h2", { textContent: "Linha do tempo" }), waterfall(steps)),
    ...lists(row),
    make("p", {}, make("a", { href: `#/privacidade?sessao=${encodeURIComponent(row.session_id)}`, textContent: "Dados desta sessão" })),
    make("details", { className: "card" }, make("summary", { textContent: "Tudo o que foi medido" }), make("pre", { tabIndex: 0, textContent: JSON.stringify(row, null, 1) })),
  ];
}

function waterfall(steps) {
  const first = steps.length ? Math.min(...steps.map((step) => step.ms)) : 0;
  const last = steps.length ? Math.max(...steps.map((step) => step.ms)) : 0;
  const from = (step) => steps[Math.max(steps.indexOf(step) - 1, 0)].ms;
  return table("Desde o fim da fala; cada barra vem do instante anterior", [
    ["Etapa", (step) => step.nome],
    ["Horário", (step) => instantFine(step.instante)],
    ["ms", (step) => step.ms.toFixed(1).replace(".", ","), "number"],
    ["", (step) => stretch(Math.min(from(step), step.ms), Math.max(from(step), step.ms), first, last)],
  ], steps, "Nenhum instante foi registrado.");
}

function lists(row) {
  const parts = [];
  if (row.items?.length) {
    const shown = [["Item", (item) => item.sugestao ?? item.id], ["Explicação", (item) => item.explicacao ?? ""]];
    parts.push(make("section", { className: "card" }, make("h2", { textContent: "O que foi mostrado" }), table("Itens", shown, row.items)));
  }
  if (row.blocked?.length) {
    const held = [["Item", (block) => block.item_id], ["Regra", (block) => block.rule_id]];
    parts.push(make("section", { className: "card" }, make("h2", { textContent: "O que a segurança bloqueou" }), table("Itens", held, row.blocked)));
  }
  if (row.retornos?.length) {
    const told = [["Quando", (one) => instant(one.reported_at)], ["Item", (one) => one.item_id], ["Resultado", (one) => one.result]];
    parts.push(make("section", { className: "card" }, make("h2", { textContent: "O que o balcão respondeu" }), table("Respostas", told, row.retornos)));
  }
  return parts;
}
