// The console: who is signed in decides which pages there are, the address decides which of them is shown.
import { byId, make, say, show } from "../../js/dom.js";
import { onSignedOut, send, whoAmI } from "./api.js";
import { isAdministrator, loadCounters, state } from "./state.js";
import { auditPage } from "./pages/audit.js";
import { blocksPage } from "./pages/blocks.js";
import { clientsPage } from "./pages/clients.js";
import { countersPage } from "./pages/counters.js";
import { interactionPage } from "./pages/interaction.js";
import { livePage } from "./pages/live.js";
import { privacyPage } from "./pages/privacy.js";
import { searchPage } from "./pages/search.js";
import { signInPage } from "./pages/sign-in.js";
import { suggestionsPage } from "./pages/suggestions.js";
import { summaryPage } from "./pages/summary.js";
import { title } from "./parts.js";

const PAGES = {
  resumo: ["Resumo", summaryPage],
  vivo: ["Ao vivo", livePage],
  busca: ["Busca", searchPage],
  sugestoes: ["Sugestões", suggestionsPage],
  seguranca: ["Segurança", blocksPage],
  balcoes: ["Balcões", countersPage],
  clientes: ["Clientes", clientsPage, "administrador"],
  privacidade: ["Privacidade", privacyPage],
  auditoria: ["Auditoria", auditPage, "administrador"],
};
const HIDDEN = { interacao: ["Interação", interactionPage] };
let leavePage = () => {};
let turn = 0;

async function begin() {
  try {
    state.me = await whoAmI();
  } catch (error) {
    state.me = { papel: "ninguem" };
    byId("main").replaceChildren(title("Balto"), make("p", { className: "trouble", role: "alert", textContent: error.message }));
    return;
  }
  const inside = state.me.papel !== "ninguem";
  for (const id of ["menu", "leave", "who"]) {
    show(byId(id), inside);
  }
  say(byId("who"), isAdministrator() ? "administrador" : state.me.nome ?? "");
  if (inside) {
    await loadCounters().catch(() => {}); // names only: each page says itself what it could not get
  }
  menu();
  await route();
}

function menu() {
  const mine = Object.entries(PAGES).filter(([, [, , role]]) => !role || role === state.me.papel);
  byId("menu").replaceChildren(...mine.map(([name, [text]]) => make("a", { href: `#/${name}`, textContent: text, data: { page: name } })));
}

async function route() {
  const mine = ++turn;
  leavePage();
  leavePage = () => {};
  const [, name = "", id = "", query = ""] = /^#\/([^/?]*)\/?([^?]*)\??(.*)$/.exec(location.hash) ?? [];
  const main = byId("main");
  if (state.me.papel === "ninguem") {
    settle(main, signInPage(begin));
    return;
  }
  const [text, page] = PAGES[name] ?? HIDDEN[name] ?? PAGES.resumo;
  mark(PAGES[name] || HIDDEN[name] ? name : "resumo");
  main.ariaBusy = "true";
  const context = { query: new URLSearchParams(query), id: decodeURIComponent(id), onLeave: (undo) => (leavePage = undo), again: route };
  let parts;
  try {
    parts = await page(context);
  } catch (error) {
    parts = [title(text), make("p", { className: "trouble", role: "alert", textContent: error.message })];
  }
  if (mine === turn && state.me.papel !== "ninguem") {
    settle(main, parts);
  }
}

function settle(main, parts) {
  const inMenu = byId("menu").contains(document.activeElement);
  main.replaceChildren(...parts);
  main.ariaBusy = "false";
  if (!inMenu) {
    main.querySelector("h1")?.focus({ preventScroll: true });
  }
}

function mark(name) {
  for (const link of byId("menu").children) {
    link.ariaCurrent = link.dataset.page === name ? "page" : null;
  }
}

async function leave() {
  await send("POST", "/sair").catch(() => {}); // an ended session is as good as signed out
  location.hash = "";
  await begin();
}

byId("leave").addEventListener("click", leave);
globalThis.addEventListener("hashchange", route);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
onSignedOut(begin);
begin();
