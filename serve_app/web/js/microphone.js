// The microphone: as PCM from the audio thread, or as WebM where the browser has no AudioWorklet.

const CHUNK_MS = 250;
const WEBM_TYPE = "audio/webm;codecs=opus";

/** Why there is no sound, as a code: `inseguro`, `sem_suporte`, `negado`, `ausente`, `ocupado`. */
export class NoMicrophone extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** `pcm`, `webm`, or null where this browser can do neither. */
export function method() {
  if (window.AudioContext && "audioWorklet" in AudioContext.prototype && window.AudioWorkletNode) {
    return "pcm";
  }
  return window.MediaRecorder?.isTypeSupported(WEBM_TYPE) ? "webm" : null;
}

/**
 * Open the microphone; raises NoMicrophone. What the browser would do to the sound is switched off: the service's own
 * gate measures the room, and recognisers hear raw speech better than cleaned speech.
 */
export async function openStream(deviceId) {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    throw new NoMicrophone(window.isSecureContext ? "sem_suporte" : "inseguro");
  }
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...audio, ...(deviceId && { deviceId }) } });
  } catch (error) {
    throw new NoMicrophone(WHY[error.name] ?? "ocupado");
  }
}

const WHY = Object.freeze({ NotAllowedError: "negado", SecurityError: "negado", NotFoundError: "ausente" });

/** Whether the microphone may be opened without asking anybody. */
export async function allowed() {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state === "granted";
  } catch {
    return false; // a browser that cannot tell asks
  }
}

/** 16 kHz PCM in pieces of 250 ms to `onPcm`, levels to `onLevel`, `onEnded` when the device has gone. */
export async function capturePcm({ stream, onPcm, onLevel, onEnded }) {
  const context = new AudioContext({ latencyHint: "balanced" });
  await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
  const node = new AudioWorkletNode(context, "balto-capture", { numberOfOutputs: 0 });
  const closed = new Promise((resolve) => {
    node.port.onmessage = ({ data }) => {
      if (data.pcm) {
        onPcm(data.pcm);
      } else {
        onLevel(data.rms);
      }
      if (data.last) {
        resolve();
      }
    };
  });
  context.createMediaStreamSource(stream).connect(node);
  stream.getAudioTracks()[0].onended = onEnded;
  await context.resume();
  return {
    /** Let the microphone go: the browser's own sign of it goes off too. */
    async close() {
      node.port.postMessage("close");
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500))]);
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
    },
  };
}

/** WebM/Opus in chunks of 250 ms to `onChunk`; `begin` starts a new container. Silent while paused, but open. */
export function captureWebm({ stream, onChunk, onEnded }) {
  const track = stream.getAudioTracks()[0];
  track.onended = onEnded;
  let recorder = null;
  const begin = () => {
    if (recorder !== null) {
      recorder.ondataavailable = null;
      recorder.stop();
    }
    recorder = new MediaRecorder(stream, { mimeType: WEBM_TYPE, audioBitsPerSecond: 32_000 });
    recorder.ondataavailable = ({ data }) => data.size && onChunk(data);
    recorder.start(CHUNK_MS);
  };
  begin();
  return {
    begin,
    pause: (yes) => {
      track.enabled = !yes;
    },
  };
}
