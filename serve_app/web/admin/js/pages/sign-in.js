// Signing in, and the first time of both kinds of people.
import { make } from "../../../js/dom.js";
import { send } from "../api.js";
import { field, form, title } from "../parts.js";

const SECRET = { type: "password", required: true };
const FRESH = { type: "password", required: true, minLength: 10, autocomplete: "new-password" };
const EMAIL = { type: "email", required: true, autocomplete: "username" };

/** `entered` is called after a sign-in. */
export function signInPage(entered) {
  return [
    title("Entrar"),
    make(
      "section",
      { className: "card narrow" },
      make("h2", { textContent: "Farmácia" }),
      form(
        [field("E-mail", "email", EMAIL), field("Senha", "password", { ...SECRET, autocomplete: "current-password" })],
        "Entrar",
        (given) => send("POST", "/cliente/login", given).then(entered),
      ),
    ),
    make(
      "section",
      { className: "card narrow" },
      make("h2", { textContent: "Administrador" }),
      form([field("Senha do administrador", "password", { ...SECRET, autocomplete: "current-password" })], "Entrar", (given) =>
        send("POST", "/admin/login", given).then(entered),
      ),
    ),
    make(
      "details",
      { className: "card narrow" },
      make("summary", { textContent: "Primeiro acesso da farmácia" }),
      make("p", { className: "soft", textContent: "O código vem do administrador, com o cadastro." }),
      form(
        [field("E-mail do cadastro", "email", EMAIL), field("Código", "codigo", { required: true }), field("Nova senha", "senha", FRESH)],
        "Criar senha e entrar",
        async (given) => {
          await send("POST", "/cliente/senha", given);
          await send("POST", "/cliente/login", { email: given.email, password: given.senha });
          await entered();
        },
      ),
    ),
    make(
      "details",
      { className: "card narrow" },
      make("summary", { textContent: "Primeira configuração do administrador" }),
      make("p", {
        className: "soft",
        textContent: "O segredo de uso único aparece no terminal de quem instalou (POST /admin/segredo com o ADMIN_SECRET). A senha atual também serve para trocá-la.",
      }),
      form([field("Segredo de uso único ou senha atual", "segredo", SECRET), field("Nova senha do administrador", "senha", FRESH)], "Definir senha e entrar", async (given) => {
        await send("POST", "/admin/senha", given);
        await send("POST", "/admin/login", { password: given.senha });
        await entered();
      }),
    ),
  ];
}
