// The bundled conversation, played into the service as if it were said at the counter.

const PIECE_MS = 250;
const HEADER_BYTES = 44;

/** Fetch it; raises an Error whose text is for the attendant. Gives an Int16Array of 16 kHz mono. */
export async function fetchSample(url) {
  let answer;
  try {
    answer = await fetch(url);
  } catch {
    throw new Error("A conversa de exemplo não pôde ser carregada. Confira a rede e tente de novo.");
  }
  if (!answer.ok) {
    throw new Error("Este servidor não tem a conversa de exemplo.");
  }
  return samplesOf(await answer.arrayBuffer());
}

/** The samples of a 16 kHz mono 16-bit WAV with the plain header that ours has. */
export function samplesOf(wav) {
  const view = new DataView(wav);
  const right = wav.byteLength > HEADER_BYTES && view.getUint32(24, true) === 16000 && view.getUint16(22, true) === 1
    && view.getUint16(34, true) === 16;
  if (!right) {
    throw new Error("A conversa de exemplo deste servidor não é um WAV de 16 kHz, mono, 16 bits.");
  }
  return new Int16Array(wav, HEADER_BYTES, (wav.byteLength - HEADER_BYTES) >> 1);
}

/** Gives `onPcm` pieces in real time, late timers caught up with, then calls `onEnd`; returns what stops it. */
export function play({ samples, onPcm, onEnd }) {
  const size = 16 * PIECE_MS;
  const startedMs = performance.now();
  let at = 0;
  const timer = setInterval(() => {
    const due = Math.min(samples.length, 16 * Math.round(performance.now() - startedMs));
    while (at + size <= due || (due === samples.length && at < due)) {
      onPcm(samples.slice(at, at + size));
      at = Math.min(samples.length, at + size);
    }
    if (at === samples.length) {
      clearInterval(timer);
      onEnd();
    }
  }, PIECE_MS);
  return () => clearInterval(timer);
}
