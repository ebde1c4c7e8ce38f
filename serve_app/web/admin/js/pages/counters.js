// Counters: registering, keys (shown once, replaced, revoked), and how loud a voice must be.
import { make } from "../../../js/dom.js";
import { ask, send } from "../api.js";
import { number } from "../format.js";
import { button, choice, confirmed, field, form, showKey, table, tell, title } from "../parts.js";
import { isAdministrator, loadCounters } from "../state.js";

/** Gate settings by the shop's noise: a margin over the noise floor (×), and an absolute floor (RMS of int16). */
const PRESETS = {
  padrao: ["padrão do serviço", {}],
  calma: ["loja calma, vozes baixas", { threshold_multiplier: 1.5 }],
  movimentada: ["loja movimentada", { threshold_multiplier: 1.8, min_energy: 200 }],
  barulhenta: ["loja barulhenta", { threshold_multiplier: 2.2, min_energy: 400 }],
};

export async function countersPage({ query, again }) {
  const wanted = { busca: query.get("busca") ?? "", cliente: query.get("cliente") ?? "" };
  const page = await ask("/api/admin/balcoes", { ...wanted, limite: 200 });
  const find = form([field("Nome do balcão", "busca", { value: wanted.busca, maxLength: 200 })], "Buscar", async ({ busca }) => {
    location.hash = `#/balcoes?${new URLSearchParams({ ...wanted, busca })}`;
  });
  const list = table(`Balcões por nome (${number(page.total)})`, columns(again), page.balcoes, "Nenhum balcão.");
  return [
    title("Balcões"),
    ...(isAdministrator() ? [registration(again)] : []),
    make("section", { className: "card" }, find, list),
    make("p", { className: "soft", textContent: "O ajuste de ruído vale a partir da próxima conexão do balcão. Ruído vira fala: suba um nível; palavras são cortadas: desça." }),
  ];
}

function registration(again) {
  const register = form(
    [field("Código do cliente", "user_codigo", { required: true, maxLength: 64 }), field("Nome do balcão", "nome_balcao", { required: true, maxLength: 200 })],
    "Cadastrar",
    async (given, made) => {
      const { api_key: key } = await send("POST", "/cadastro/balcao", given);
      made.reset();
      await loadCounters();
      await again();
      showKey(key);
    },
  );
  return make("section", { className: "card" }, make("h2", { textContent: "Novo balcão" }), register);
}

function columns(again) {
  const state = (row) => make("span", { className: "tag", data: { tone: row.revogado ? "bad" : "good" }, textContent: row.revogado ? "revogada" : "em uso" });
  return [
    ["Balcão", (row) => row.nome_balcao],
    ...(isAdministrator() ? [["Cliente", (row) => row.razao_social]] : []),
    ["Chave", state],
    ["Ruído da loja", (row) => gate(row)],
    ["", (row) => make("div", { className: "row" }, ...keyButtons(row, again))],
  ];
}

function keyButtons(row, again) {
  const path = `/api/admin/balcao/${encodeURIComponent(row.balcao_id)}/chave`;
  const rotate = async () => {
    if (await confirmed("Trocar a chave?", `A chave atual de ${row.nome_balcao} deixa de valer em segundos.`)) {
      const { api_key: key } = await send("POST", path);
      await again();
      showKey(key);
    }
  };
  const revoke = async () => {
    if (await confirmed("Revogar a chave?", `${row.nome_balcao} é desconectado em segundos. Uma nova chave o abre de novo.`)) {
      await send("DELETE", path);
      tell("Chave revogada.");
      await again();
    }
  };
  const buttons = [button("Nova chave", rotate, { label: `Nova chave para ${row.nome_balcao}` })];
  return row.revogado ? buttons : [...buttons, button("Revogar", revoke, { className: "grave", label: `Revogar a chave de ${row.nome_balcao}` })];
}

function gate(row) {
  const now = JSON.stringify(sorted(row.vad ?? {}));
  const preset = Object.entries(PRESETS).find(([, [, values]]) => JSON.stringify(sorted(values)) === now)?.[0] ?? "outro";
  const options = Object.entries(PRESETS).map(([name, [text]]) => [name, text]);
  const all = preset === "outro" ? [...options, ["outro", describe(row.vad)]] : options;
  const select = choice("", "vad", all, preset, async (name) => {
    if (name === "outro") {
      return;
    }
    try {
      await send("PUT", `/api/admin/balcao/${encodeURIComponent(row.balcao_id)}/vad`, PRESETS[name][1]);
      tell(`Ruído de ${row.nome_balcao}: ${PRESETS[name][0]}.`);
    } catch (error) {
      tell(error.message);
      select.append(make("span", { className: "trouble", textContent: error.message }));
    }
  });
  select.querySelector("select").ariaLabel = `Ruído da loja em ${row.nome_balcao}`;
  return select;
}

const sorted = (values) => Object.entries(values).sort();
const describe = ({ threshold_multiplier: times, min_energy: energy }) => [times && `margem ×${times}`, energy != null && `mínimo ${energy}`].filter(Boolean).join(", ");
