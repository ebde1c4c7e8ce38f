// Numbers, instants and names as Brazilians read them, in the browser's own time zone.

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "America/Sao_Paulo";

const whole = new Intl.NumberFormat("pt-BR", { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat("pt-BR", { style: "percent", maximumFractionDigits: 1 });
const THREE = { minimumFractionDigits: 3, maximumFractionDigits: 3 };
const points = new Intl.NumberFormat("pt-BR", THREE);
const signed = new Intl.NumberFormat("pt-BR", { ...THREE, signDisplay: "exceptZero" });
const dollars = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "USD" });
const cents = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "USD", maximumFractionDigits: 5 });
const full = new Intl.DateTimeFormat("pt-BR", { dateStyle: "short", timeStyle: "medium" });
const fine = new Intl.DateTimeFormat("pt-BR", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const day = new Intl.DateTimeFormat("pt-BR", { day: "2-digit", month: "2-digit" });
const hour = new Intl.DateTimeFormat("pt-BR", { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit" });

export const OUTCOMES = {
  sugerido: ["sugestão mostrada", "good"],
  nada: ["nada a sugerir", ""],
  bloqueado: ["segurança bloqueou", "warn"],
  alerta: ["farmacêutico chamado", "bad"],
  descartado: ["não era fala", ""],
  vazio: ["sem palavras", ""],
  stt_falhou: ["transcrição falhou", "bad"],
  llm_falhou: ["modelo falhou", "bad"],
  prazo: ["passou do prazo", "warn"],
  perdido: ["perdido", "bad"],
};

const none = "–";
const or = (format) => (value) => (value == null ? none : format(value));
export const number = or((value) => whole.format(value));
export const share = or((value) => percent.format(value));
export const perSuggestion = or((value) => points.format(value));
export const difference = or((value) => signed.format(value));
export const usd = or((value) => dollars.format(value));
export const usdFine = or((value) => cents.format(value));
export const ms = or((value) => `${whole.format(value)} ms`);
export const instant = or((value) => full.format(new Date(value)));
export const instantFine = or((value) => fine.format(new Date(value)));
export const slot = (epochS, stepS) => (stepS >= 86400 ? day : hour).format(new Date(epochS * 1000));
export const interval = (found) => (found ? `${share(found.baixo)} a ${share(found.alto)}` : none);
