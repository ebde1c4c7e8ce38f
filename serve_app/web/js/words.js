// Every sentence that depends on the state, in the words of the pharmacy; pure.

const PHASES = Object.freeze({
  parado: { tone: "quiet", text: "Desconectado" },
  conectando: { tone: "quiet", text: "Conectando…" },
  conectado: { tone: "good", text: "Conectado" },
  reconectando: { tone: "warn", text: "Sem conexão: tentando de novo" },
  cheio: { tone: "warn", text: "Serviço cheio: tentando de novo" },
  em_uso: { tone: "warn", text: "Balcão aberto em outro lugar: tentando de novo" },
  recusado: { tone: "bad", text: "Balcão recusado: tentando de novo" },
  chave_invalida: { tone: "bad", text: "Chave recusada" },
});

/** The pill at the top: `{tone, text}`. `leftS` is the wait before the next attempt, in whole seconds. */
export function connection(phase, leftS) {
  const said = PHASES[phase];
  return leftS > 0 ? { ...said, text: `${said.text} em ${leftS} s` } : said;
}

const DETAILS = Object.freeze({
  reconectando: "O que for dito no próximo minuto fica guardado neste aparelho e é enviado quando a conexão voltar.",
  cheio: "O áudio do último minuto fica guardado neste aparelho; não é preciso fazer nada.",
  em_uso: "A conexão anterior deste balcão ainda não foi encerrada. Se outra janela está aberta, feche-a.",
  recusado: "Atualize a página. Se continuar, avise o administrador.",
});

/** What a state of the connection means, or null where there is nothing to explain. `said` is the server's sentence. */
export function connectionDetail(phase, said) {
  const detail = DETAILS[phase];
  return detail ? (said ? `${said} ${detail}` : detail) : null;
}

const LISTENING = Object.freeze({
  parado: { text: "Microfone desligado", detail: "Este balcão não está ouvindo." },
  pedindo: { text: "Abrindo o microfone…", detail: "Permita o uso do microfone quando o navegador perguntar." },
  ouvindo: { text: "Ouvindo", detail: "Este balcão ouve a conversa para ajudar no atendimento." },
  pausado: { text: "Pausado", detail: "O microfone está desligado. Nada é ouvido." },
  exemplo: { text: "Conversa de exemplo", detail: "O microfone está desligado; toca uma gravação." },
});

const TROUBLE = Object.freeze({
  negado: "O navegador não deixa usar o microfone. Toque no cadeado ao lado do endereço, permita o microfone e tente de novo.",
  ausente: "Nenhum microfone encontrado. Conecte um microfone e tente de novo.",
  ocupado: "O microfone não abriu. Feche outros programas que o usam e tente de novo.",
  inseguro: "O navegador só abre o microfone em endereços https:// ou neste mesmo computador. Peça o endereço certo ao administrador.",
  sem_suporte: "Este navegador não grava áudio. Use um Chrome, Edge ou Firefox atual.",
  desconectado: "O microfone foi desconectado. Conecte-o e tente de novo.",
});

/** The listening sign, which a customer can read too: `{text, detail, trouble}`. */
export function listening(mic, connected) {
  if (TROUBLE[mic]) {
    return { text: "Sem microfone", detail: TROUBLE[mic], trouble: true };
  }
  const said = LISTENING[mic];
  const held = mic === "ouvindo" && !connected;
  return { ...said, detail: held ? "Ouvindo e guardando até a conexão voltar." : said.detail, trouble: false };
}

const NOTICES = Object.freeze({
  demonstracao: {
    on: true, text: "Reconhecedor de demonstração: entende pouco e erra. Não aconselhe clientes por ele.",
  },
  stt_indisponivel: { on: true }, stt_restabelecido: { on: false, of: "stt_indisponivel" },
  llm_indisponivel: { on: true }, llm_restabelecido: { on: false, of: "llm_indisponivel" },
});

/** What a notice does: `{code, text}` is shown under its code; text null takes it down. The pharmacist's call is apart. */
export function notice({ code, text }) {
  const known = NOTICES[code] ?? { on: true };
  return { code: known.of ?? code, text: known.on ? (known.text ?? text) : null };
}

export const RESULT_WORDS = Object.freeze({ aceita: "Aceita", recusada: "Recusada", vendida: "Vendida" });

/** What a screen reader says when a suggestion comes. */
export function spoken({ items }) {
  return `Sugestão: ${items.map((item) => item.name).join("; ")}.`;
}
