// What is kept of one session: given out as a file, and erased.
import { make } from "../../../js/dom.js";
import { ask, send } from "../api.js";
import { number } from "../format.js";
import { button, confirmed, field, form, title } from "../parts.js";

const ROWS = 1000;
const PAGES_MAX = 50;

export async function privacyPage({ query }) {
  const session = query.get("sessao") ?? "";
  const told = make("p", { role: "status" });
  const find = form([field("Sessão", "sessao", { value: session, required: true, maxLength: 64 })], "Ver", async ({ sessao }) => {
    location.hash = `#/privacidade?${new URLSearchParams({ sessao: sessao.trim() })}`;
  });
  const parts = session ? [await contents(session, told)] : [];
  const about = "Para atender a um pedido de titular (LGPD): uma sessão é uma conexão contínua de um balcão; a página de cada interação leva à sua. Ver e apagar ficam na auditoria.";
  return [title("Privacidade"), make("section", { className: "card" }, make("p", { textContent: about }), find, told), ...parts];
}

async function contents(session, told) {
  const path = `/api/data/sessao/${encodeURIComponent(session)}`;
  const found = await ask(path, { limite: 1 });
  const empty = !found.interacoes.length && !found.retornos.length && !found.na_fila.length;
  if (empty) {
    return make("p", { className: "card", textContent: "Nada está guardado desta sessão." });
  }
  const erase = async () => {
    if (await confirmed("Apagar tudo desta sessão?", "Não pode ser desfeito. Cópias de segurança a mantêm até serem substituídas.")) {
      const gone = await send("DELETE", path);
      told.textContent = `Apagadas ${number(gone.interacoes)} interações, ${number(gone.retornos)} respostas e ${number(gone.audios)} áudios.`;
      card.remove();
    }
  };
  const card = make(
    "section",
    { className: "card" },
    make("h2", { textContent: `Sessão ${session}` }),
    make("p", { className: "row" }, button("Baixar tudo (JSON)", () => download(path, session)), button("Apagar tudo", erase, { className: "grave" })),
  );
  return card;
}

async function download(path, session) {
  const pages = [];
  do {
    pages.push(await ask(path, { limite: ROWS, deslocamento: ROWS * pages.length }));
  } while (pages.at(-1).mais && pages.length < PAGES_MAX);
  const whole = { ...pages[0], interacoes: pages.flatMap((page) => page.interacoes), retornos: pages.flatMap((page) => page.retornos), mais: pages.at(-1).mais };
  const address = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 1)], { type: "application/json" }));
  make("a", { href: address, download: `sessao-${session}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
