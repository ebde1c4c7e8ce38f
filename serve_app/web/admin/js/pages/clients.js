// Clients: finding, registering, and taking a forgotten password away.
import { make } from "../../../js/dom.js";
import { ask, send } from "../api.js";
import { instant, number } from "../format.js";
import { button, confirmed, field, form, table, tell, title } from "../parts.js";

export async function clientsPage({ query, again }) {
  const wanted = query.get("busca") ?? "";
  const page = await ask("/api/admin/clientes", { busca: wanted, limite: 200 });
  const find = form([field("Nome, e-mail ou código", "busca", { value: wanted, maxLength: 200 })], "Buscar", async ({ busca }) => {
    location.hash = `#/clientes?${new URLSearchParams({ busca })}`;
  });
  const told = make("p", { role: "status" });
  const register = form(
    [
      field("Razão social", "razao_social", { required: true, maxLength: 200 }),
      field("E-mail", "email", { type: "email", required: true }),
      field("Telefone", "telefone", { type: "tel", required: true, maxLength: 40 }),
    ],
    "Cadastrar",
    async (given, made) => {
      const { codigo } = await send("POST", "/cadastro/cliente", given);
      made.reset();
      told.replaceChildren("Cadastrado. Código: ", make("code", { textContent: codigo }), ". Com ele o cliente cria a senha e cadastra balcões.");
    },
  );
  return [
    title("Clientes"),
    make("section", { className: "card" }, make("h2", { textContent: "Novo cliente" }), register, told),
    make("section", { className: "card" }, find, table(`Clientes por nome (${number(page.total)})`, columns(again), page.clientes, "Nenhum cliente.")),
  ];
}

function columns(again) {
  return [
    ["Razão social", (row) => row.razao_social],
    ["E-mail", (row) => row.email],
    ["Telefone", (row) => row.telefone],
    ["Código", (row) => make("code", { textContent: row.codigo })],
    ["Balcões", (row) => make("a", { href: `#/balcoes?cliente=${encodeURIComponent(row.cliente_id)}`, textContent: number(row.balcoes), ariaLabel: `${row.balcoes} balcões de ${row.razao_social}` }), "number"],
    ["Desde", (row) => instant(row.criado_em)],
    ["", (row) => button("Apagar senha", () => forget(row, again), { className: "grave", label: `Apagar a senha de ${row.razao_social}` })],
  ];
}

async function forget(row, again) {
  if (await confirmed("Apagar a senha?", `${row.razao_social} sai de todas as sessões e cria outra senha com o código ${row.codigo}.`)) {
    await send("DELETE", `/api/admin/client/${encodeURIComponent(row.codigo)}/senha`);
    tell("Senha apagada.");
    await again();
  }
}
