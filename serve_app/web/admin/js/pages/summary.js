// Volume, delay and cost over time.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { plot } from "../charts.js";
import { chosen, filters } from "../filters.js";
import { ms, number, OUTCOMES, share, usd, usdFine, ZONE } from "../format.js";
import { figures, outcome, table, title } from "../parts.js";

export async function summaryPage({ query }) {
  const found = await ask("/api/console/resumo", chosen(query));
  const all = Object.values(found.por_desfecho).reduce((sum, n) => sum + n, 0);
  const cost = found.custo_stt_usd + found.custo_llm_usd;
  const over = (caption, lines) => plot(caption, found.instantes, found.passo_s, lines);
  const outcomes = Object.keys(OUTCOMES).filter((name) => found.por_desfecho[name]);
  return [
    title("Resumo"),
    filters("resumo", query),
    figures(
      ["Interações", number(all)],
      ["Sugestões mostradas", number(found.por_desfecho.sugerido)],
      ["Atraso mediano", ms(found.atraso.p50_ms)],
      ["95 % em até", ms(found.atraso.p95_ms)],
      ["Custo", usd(cost)],
      ["Custo por sugestão", usdFine(found.total_por_sugestao_usd)],
    ),
    ...behind(found.horas_por_contar),
    make(
      "div",
      { className: "two" },
      over("Interações e sugestões", [
        { label: "Interações", values: found.interacoes, colour: "one", kind: "bars", format: number },
        { label: "Sugestões", values: found.sugestoes, colour: "two", format: number },
      ]),
      over("Atraso: do fim da fala à sugestão", [
        { label: "Mediana", values: found.p50_ms, colour: "one", format: ms },
        { label: "95 % em até", values: found.p95_ms, colour: "two", format: ms },
      ]),
      over("Custo", [
        { label: "Total", values: found.custo_usd, colour: "one", kind: "bars", format: usd },
        { label: "Por sugestão", values: found.custo_por_sugestao_usd, colour: "two", axis: "y2", format: usdFine },
      ]),
      make(
        "section",
        { className: "card" },
        make("h2", { textContent: "Como terminaram" }),
        table("Interações por desfecho", [
          ["Desfecho", outcome],
          ["Interações", (name) => number(found.por_desfecho[name]), "number"],
          ["Parte", (name) => share(found.por_desfecho[name] / all), "number"],
        ], outcomes),
      ),
    ),
    make("p", { className: "soft", textContent: `Dias e horas no fuso ${ZONE}. Custos em dólares, a preço de tabela dos provedores.` }),
  ];
}

function behind(hours) {
  return hours ? [make("p", { className: "soft", textContent: `Os números de ${number(hours)} hora(s) ainda estão sendo contados.` })] : [];
}
