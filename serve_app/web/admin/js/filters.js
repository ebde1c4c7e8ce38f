// The choice of days and counter above the figures; it is kept in the address, so that a view can be sent to somebody.
import { make } from "../../js/dom.js";
import { ZONE } from "./format.js";
import { choice } from "./parts.js";
import { counterOptions } from "./state.js";

const DAYS = [["1", "hoje"], ["7", "7 dias"], ["30", "30 dias"], ["90", "90 dias"], ["365", "1 ano"]];

/** The parameters that a figure's question takes. */
export function chosen(query, days = "7") {
  return { dias: query.get("dias") ?? days, balcao: query.get("balcao") ?? "", fuso: ZONE };
}

export function filters(page, query, days = "7") {
  const now = chosen(query, days);
  const go = (changes) => {
    const { dias, balcao } = { ...now, ...changes };
    location.hash = `#/${page}?${new URLSearchParams({ dias, balcao })}`;
  };
  return make(
    "div",
    { className: "row" },
    choice("Período", "dias", DAYS, now.dias, (dias) => go({ dias })),
    choice("Balcão", "balcao", counterOptions(), now.balcao, (balcao) => go({ balcao })),
  );
}
