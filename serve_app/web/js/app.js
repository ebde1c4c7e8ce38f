// The counter's page: brings memory, connection, microphone and screen together.

import { CardsView } from "./cards-view.js";
import { byId, show } from "./dom.js";
import { Link } from "./link.js";
import { Listening } from "./listening.js";
import { Memory, cleanKey, keyOfLink } from "./memory.js";
import { allowed } from "./microphone.js";
import { outcome, typed } from "./protocol.js";
import { Screen } from "./screen.js";
import { settingsDialog } from "./settings-view.js";
import { browserWorld } from "./world.js";

const CALL_PHARMACIST = "chame_farmaceutico";
const KEY_REFUSED = "A chave guardada foi recusada: ela não existe ou foi revogada. Peça outra ao administrador.";

/** Where a touch on the sample would take the microphone away from a customer, it is not offered. */
const BUSY = Object.freeze(["ouvindo", "pedindo", "exemplo"]);

const memory = new Memory(window.localStorage);
const screen = new Screen();
const cards = new CardsView({
  showMs: showMs(memory.preferences), announce: (text) => screen.announce(text),
  report: (what) => link.report(outcome(what)),
});
const listening = new Listening({
  changed: microphoneChanged, heard: (sound) => screen.level(sound), added: () => link.pump(),
});
const link = new Link({ held: listening.held, on: linkSaid, world: browserWorld(socketUrl()) });

function socketUrl() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
}

function linkSaid(event) {
  switch (event.kind) {
    case "fase":
      return phaseChanged(event);
    case "recomendar":
      return cards.add(event);
    case "ouvido":
      return screen.heard(event);
    case "aviso":
      return event.code === CALL_PHARMACIST ? screen.callPharmacist(event.text) : screen.notice(event);
    case "audio_perdido":
      return screen.trouble(`${Math.ceil(event.seconds)} s do que foi dito não puderam ser guardados.`);
    default:
      return screen.trouble(event.text);
  }
}

function phaseChanged(event) {
  if (event.phase === "conectado") {
    screen.clearNotices();
    screen.trouble("");
  }
  screen.connection(event);
  if (event.phase === "chave_invalida") {
    const refused = memory.key;
    memory.key = linked === refused ? null : linked;
    if (memory.key !== null) {
      connect();
      return;
    }
    listening.pause();
    screen.askForKey(true, KEY_REFUSED);
  }
}

function microphoneChanged(mic) {
  screen.microphone(mic);
  show(byId("sample"), listening.canPlaySample && !BUSY.includes(mic));
  keepAwake(mic === "ouvindo");
}

async function toggleListening() {
  const on = listening.state === "ouvindo" || listening.state === "exemplo";
  await (on ? listening.pause() : listening.listen(memory.preferences.deviceId));
  memory.prefer({ listening: listening.state === "ouvindo" });
}

async function playSample() {
  screen.trouble("");
  try {
    await listening.playSample();
  } catch (error) {
    screen.trouble(error.message);
  }
}

function sendTyped(event) {
  event.preventDefault();
  const field = byId("typed");
  if (link.say(typed(field.value))) {
    field.value = "";
    screen.trouble("");
  } else if (field.value.trim()) {
    screen.trouble("Sem conexão: o texto continua no campo. Envie quando a conexão voltar.");
  }
}

function takeKey(event) {
  event.preventDefault();
  const key = cleanKey(byId("key").value);
  byId("key").value = "";
  if (key === null) {
    screen.askForKey(true, "Isto não é uma chave: ela começa com bk_ e não tem espaços.");
    byId("key").focus();
    return;
  }
  memory.key = key;
  connect();
  byId("listen").focus();
}

function connect() {
  screen.askForKey(false);
  link.start(memory.key);
}

function changeKey() {
  link.stop();
  listening.pause();
  screen.askForKey(true);
  byId("key").focus();
}

function keyPressed(event) {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (typing || event.ctrlKey || event.altKey || event.metaKey || event.repeat || !memory.preferences.shortcuts) {
    return;
  }
  const name = event.key.toLowerCase();
  if (name === "p" && !byId("counter").hidden) {
    toggleListening();
  } else {
    cards.key(name);
  }
}

function showMs({ showS }) {
  return showS > 0 ? showS * 1000 : Infinity;
}

function preferencesChanged(preferences) {
  document.documentElement.dataset.theme = preferences.theme;
  cards.showFor(showMs(preferences));
}

/** The key of a link, which never takes the place of one that works. */
const linked = keyOfLink(location.hostname, location.hash);

let wakeLock = null;
/** A tablet that listens must not fall asleep; where the browser cannot do that, the tablet's own setting rules. */
async function keepAwake(yes) {
  try {
    if (yes && document.visibilityState === "visible") {
      wakeLock = await navigator.wakeLock?.request("screen");
    } else if (!yes) {
      await wakeLock?.release();
      wakeLock = null;
    }
  } catch (error) {
    console.info("wake_lock_refused", error.name);
  }
}

async function begin() {
  if (location.hash.includes("chave=")) {
    history.replaceState(null, "", location.pathname);
  }
  memory.key = memory.key ?? linked;
  if (memory.key === null) {
    screen.askForKey(true);
    return;
  }
  connect();
  if (memory.preferences.listening && (await allowed())) {
    await listening.listen(memory.preferences.deviceId);
  }
}

byId("listen").addEventListener("click", toggleListening);
byId("sample").addEventListener("click", playSample);
byId("typed-form").addEventListener("submit", sendTyped);
byId("key-form").addEventListener("submit", takeKey);
document.addEventListener("keydown", keyPressed);
document.addEventListener("visibilitychange", () => keepAwake(listening.state === "ouvindo"));
window.addEventListener("online", () => link.retryNow());
settingsDialog({ memory, changed: preferencesChanged, changeKey });
screen.microphone(listening.state);
show(byId("sample"), listening.canPlaySample);
begin();
