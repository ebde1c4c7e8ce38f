// Plots over time, by uPlot, each with the same figures as a table for who does not see them.
import { make } from "../../js/dom.js";
import { slot } from "./format.js";
import { table } from "./parts.js";

const HEIGHT = 240;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A plot; `lines` are {label, values, colour, kind: "bars" | "line" | "edge", axis: "y" | "y2", format}. */
export function plot(caption, instants, stepS, lines, { bands = [], x = slot } = {}) {
  const place = make("div", { className: "plot", ariaHidden: "true" });
  const columns = [["Quando", (at) => x(instants[at], stepS)], ...lines.map((line) => [line.label, (at) => line.format(line.values[at]), "number"])];
  const rows = instants.map((_, at) => at).filter((at) => lines.some((line) => line.values[at]));
  const figures = make("details", {}, make("summary", { textContent: "Ver em tabela" }));
  figures.addEventListener("toggle", () => figures.childElementCount === 1 && figures.append(table(caption, columns, rows)), { once: true });
  const made = make("figure", { className: "card" }, make("figcaption", {}, make("h2", { textContent: caption })), place, figures);
  requestAnimationFrame(() => begin(place, instants, stepS, lines, bands, x));
  return made;
}

function begin(place, instants, stepS, lines, bands, x) {
  if (!place.isConnected) {
    return;
  }
  const options = {
    width: place.clientWidth || 600,
    height: HEIGHT,
    series: [{ label: "Quando", value: (_, at) => (at == null ? "–" : x(at, stepS)) }, ...lines.map(series)],
    bands: bands.map((pair) => ({ series: pair, fill: colour("band") })),
    axes: [axis({ values: (_, ticks) => ticks.map((at) => x(at, stepS)) }), axis({ format: lines[0].format }), ...second(lines)],
    scales: { x: { time: false, range: (_, low, high) => [low - stepS / 2, high + stepS / 2] }, ...scales(lines) },
    cursor: { drag: { x: false, y: false } },
  };
  const chart = new globalThis.uPlot(options, [instants, ...lines.map((line) => line.values)], place);
  new ResizeObserver(() => place.clientWidth && chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
}

function series({ label, kind = "line", colour: name, axis: scale = "y", format }) {
  const made = { label, scale, stroke: colour(name), value: (_, value) => format(value), width: kind === "edge" ? 0 : 2 };
  if (kind === "bars") {
    made.paths = globalThis.uPlot.paths.bars({ size: [0.8, 60] });
    made.fill = colour("band");
    made.points = { show: false };
  }
  return kind === "edge" ? { ...made, points: { show: false } } : made;
}

function axis({ values, format, ...more }) {
  const line = { stroke: colour("line"), width: 1 };
  const shown = values ?? ((_, ticks) => ticks.map((value) => format(value)));
  return { stroke: colour("soft"), grid: line, ticks: line, values: shown, size: values ? 40 : 70, ...more };
}

function second(lines) {
  const other = lines.find((line) => line.axis === "y2");
  return other ? [axis({ format: other.format, scale: "y2", side: 1, grid: { show: false } })] : [];
}

const fromZero = { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] };

function scales(lines) {
  return Object.fromEntries(lines.map((line) => [line.axis ?? "y", fromZero]));
}
