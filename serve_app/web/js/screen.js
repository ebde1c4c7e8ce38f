// Everything on the screen but the cards: connection, listening sign, notices, the pharmacist's call, what was understood.

import { byId, flag, make, say, show } from "./dom.js";
import { percentOf } from "./ear.js";
import { connection, connectionDetail, listening, notice } from "./words.js";

const HEARD_MAX = 2;
const TROUBLE_MS = 20_000;
const LISTENING_STATES = Object.freeze(["ouvindo", "exemplo", "pedindo"]);

export class Screen {
  #phase = "parado";
  #said = "";
  #retryAtMs = 0;
  #mic = "parado";
  #trouble = "";
  #troubleTimer = 0;
  #speech = null;

  constructor() {
    setInterval(() => this.#renderConnection(), 500);
  }

  /** The connection is in this phase; the next attempt is `inS` seconds away. `text` is the server's sentence. */
  connection({ phase, inS, text }) {
    const before = this.#phase;
    this.#phase = phase === "conectando" && before !== "parado" ? before : phase; // an attempt is no news
    this.#said = text || (phase === "conectando" ? this.#said : "");
    this.#retryAtMs = performance.now() + inS * 1000;
    this.#renderConnection();
    this.#renderTrouble();
    this.microphone(this.#mic);
  }

  microphone(mic) {
    this.#mic = mic;
    const said = listening(mic, this.#phase === "conectado");
    const sign = byId("sign");
    sign.dataset.mic = mic;
    flag(sign, "trouble", said.trouble);
    say(byId("sign-text"), said.text);
    say(byId("sign-detail"), said.detail);
    const on = LISTENING_STATES.includes(mic);
    say(byId("listen"), on ? (mic === "exemplo" ? "Parar exemplo" : "Pausar") : LISTEN_AGAIN[mic] ?? "Tentar de novo");
    show(byId("meter"), mic === "ouvindo" || mic === "exemplo");
    show(byId("meter-word"), mic === "ouvindo" || mic === "exemplo");
    if (!on) {
      this.level({ level: -Infinity, speech: false });
    }
  }

  level({ level, speech }) {
    const percent = percentOf(level);
    byId("meter-bar").style.transform = `scaleX(${percent / 100})`;
    byId("meter").setAttribute("aria-valuenow", String(percent));
    if (speech !== this.#speech) {
      this.#speech = speech;
      flag(byId("sign"), "speech", speech);
      say(byId("meter-word"), speech ? "fala" : "silêncio");
    }
  }

  /** Ask for a key (with what was wrong with the last one), or show the counter. */
  askForKey(yes, trouble = "") {
    show(byId("ask-key"), yes);
    show(byId("counter"), !yes);
    show(byId("connection"), !yes);
    say(byId("key-trouble"), trouble);
    show(byId("key-trouble"), trouble !== "");
  }

  notice(message) {
    const { code, text } = notice(message);
    const shown = [...byId("notices").children].find((one) => one.dataset.code === code);
    if (text === null) {
      shown?.remove();
    } else if (shown) {
      say(shown, text);
    } else {
      byId("notices").append(make("li", { data: { code } }, text));
    }
  }

  /** A new connection says anew what is wrong: what was said before counts no more. */
  clearNotices() {
    byId("notices").replaceChildren();
  }

  /** Large, until somebody has read it. */
  callPharmacist(text) {
    const read = make("button", { type: "button" }, "Entendi");
    read.addEventListener("click", () => byId("pharmacist").replaceChildren());
    byId("pharmacist").replaceChildren(make("h2", {}, "Chame o farmacêutico"), make("p", {}, text), read);
  }

  heard({ text, typed }) {
    const list = byId("heard");
    list.prepend(make("li", {}, typed ? `digitado: ${text}` : text));
    while (list.children.length > HEARD_MAX) {
      list.lastChild.remove();
    }
  }

  /** Something went wrong that concerns the attendant, shown for a while; empty: no more. */
  trouble(text) {
    this.#trouble = text;
    clearTimeout(this.#troubleTimer);
    this.#troubleTimer = text && setTimeout(() => this.trouble(""), TROUBLE_MS);
    this.#renderTrouble();
  }

  announce(text) {
    byId("polite").textContent = "";
    byId("polite").textContent = text;
  }

  #renderConnection() {
    const leftS = Math.max(0, Math.ceil((this.#retryAtMs - performance.now()) / 1000));
    const { tone, text } = connection(this.#phase, leftS);
    byId("connection").dataset.tone = tone;
    say(byId("connection"), text);
  }

  #renderTrouble() {
    const text = [connectionDetail(this.#phase, this.#said), this.#trouble].filter(Boolean).join(" ");
    say(byId("trouble"), text);
    show(byId("trouble"), text !== "");
  }
}

const LISTEN_AGAIN = Object.freeze({ parado: "Começar a ouvir", pausado: "Voltar a ouvir" });
