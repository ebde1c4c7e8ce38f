// The dialog of settings: each takes effect at once and is kept by this browser.

import { byId, make, say } from "./dom.js";
import { masked } from "./memory.js";

/** `changed` gets the preferences after each change, `changeKey` is called to have another key. */
export function settingsDialog({ memory, changed, changeKey }) {
  const dialog = byId("settings");
  const prefer = (changes) => {
    memory.prefer(changes);
    changed(memory.preferences);
  };
  byId("open-settings").addEventListener("click", async () => {
    fill(memory);
    dialog.showModal();
    await fillDevices(memory.preferences.deviceId);
  });
  byId("show-s").addEventListener("change", ({ target }) => prefer({ showS: Number(target.value) }));
  byId("theme").addEventListener("change", ({ target }) => prefer({ theme: target.value }));
  byId("device").addEventListener("change", ({ target }) => prefer({ deviceId: target.value }));
  byId("shortcuts").addEventListener("change", ({ target }) => prefer({ shortcuts: target.checked }));
  byId("change-key").addEventListener("click", () => {
    dialog.close();
    changeKey();
  });
  changed(memory.preferences);
}

function fill(memory) {
  const { showS, theme, shortcuts } = memory.preferences;
  byId("show-s").value = String(showS);
  byId("theme").value = theme;
  byId("shortcuts").checked = shortcuts;
  say(byId("key-shown"), memory.key === null ? "nenhuma" : masked(memory.key));
  byId("device").replaceChildren(make("option", { value: "" }, "o do aparelho"));
}

/** The microphones by name; browsers tell the names once the microphone was allowed. */
async function fillDevices(chosen) {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const named = devices.filter(({ kind, label, deviceId }) => kind === "audioinput" && label && deviceId !== "default");
  byId("device").append(...named.map(({ deviceId, label }) => make("option", { value: deviceId }, label)));
  byId("device").value = named.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}
