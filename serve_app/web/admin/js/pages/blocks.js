// What the safety gate held back.
import { make } from "../../../js/dom.js";
import { ask } from "../api.js";
import { chosen, filters } from "../filters.js";
import { number } from "../format.js";
import { table, title } from "../parts.js";

export async function blocksPage({ query }) {
  const found = await ask("/api/console/bloqueios", chosen(query, "30"));
  const columns = [["Regra", (row) => row.regra], ["Item", (row) => row.item], ["Vezes", (row) => number(row.vezes), "number"]];
  return [
    title("Segurança"),
    filters("seguranca", query, "30"),
    make("section", { className: "card" }, table("O que as regras de segurança não deixaram sugerir, o mais frequente primeiro", columns, found.bloqueios)),
  ];
}
