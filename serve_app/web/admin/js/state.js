// What every page may need: who is signed in, and the counters' names.
import { ask } from "./api.js";

export const state = { me: { papel: "ninguem" }, counters: [] };

export const isAdministrator = () => state.me.papel === "administrador";

export async function loadCounters() {
  const page = await ask("/api/admin/balcoes", { limite: 1000 });
  state.counters = page.balcoes;
}

export function counterName(id) {
  const known = state.counters.find((counter) => counter.balcao_id === id);
  return known ? known.nome_balcao : id;
}

export function counterOptions() {
  const names = state.counters.map((counter) => [
    counter.balcao_id,
    isAdministrator() ? `${counter.nome_balcao} (${counter.razao_social})` : counter.nome_balcao,
  ]);
  return [["", "todos"], ...names];
}
