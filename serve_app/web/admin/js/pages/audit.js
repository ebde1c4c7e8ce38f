// The log of administrative acts.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { instant, number } from "../format.js";
import { button, table, tableRow, title } from "../parts.js";

const LOT = 100;
const COLUMNS = [
  ["Quando", (act) => instant(act.instante)],
  ["Quem", (act) => act.quem],
  ["O quê", (act) => act.acao],
  ["Alvo", (act) => act.alvo],
  ["De onde", (act) => act.endereco],
  ["Detalhes", (act) => (act.detalhes ? JSON.stringify(act.detalhes) : "")],
];

export async function auditPage() {
  const first = await ask("/api/admin/auditoria", { limite: LOT });
  const list = table(`O que foi ordenado, o mais novo primeiro (${number(first.total)})`, COLUMNS, first.atos, "Nada ainda.");
  let shown = first.atos.length;
  const more = button("Mostrar mais", async () => {
    const next = await ask("/api/admin/auditoria", { limite: LOT, deslocamento: shown });
    list.querySelector("tbody").append(...next.atos.map((act) => tableRow(COLUMNS, act)));
    shown += next.atos.length;
    more.hidden = next.atos.length < LOT;
  });
  more.hidden = first.atos.length < LOT;
  return [title("Auditoria"), make("section", { className: "card" }, list, more)];
}
