// Charts as SVG. Colors and lines come from the style sheet; a table beside each has its numbers.

const SVG = "http://www.w3.org/2000/svg";

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 56;
const BOTTOM = 26;

// A line with the interval around it over time. `points`: { at, value, low, high }; the numbers may be null.
export function intervalOverTime(title, points, text) {
  const known = points.filter(({ value }) => value !== null);
  const numbers = known.flatMap(({ value, low, high }) => [value, low, high]).filter((number) => number !== null);
  const [least, most] = [Math.min(0, ...numbers), Math.max(0, ...numbers)];
  const span = most - least || 1;
  const times = known.map(({ at }) => Date.parse(at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (place) => LEFT + (last === first ? 0.5 : (times[place] - first) / (last - first)) * (WIDTH - LEFT - 12);
  const y = (number) => 10 + (1 - (number - least) / span) * (HEIGHT - BOTTOM - 10);
  const pair = (place, number) => `${x(place).toFixed(1)},${y(number).toFixed(1)}`;
  const bounded = known.map((point, place) => ({ ...point, place })).filter(({ low, high }) => low !== null && high !== null);
  const band = [...bounded.map(({ place, high }) => pair(place, high)), ...bounded.toReversed().map(({ place, low }) => pair(place, low))];
  const label = (number) => s("text", { x: LEFT - 8, y: y(number) + 4, class: "chart-label chart-end" }, text(number));
  const day = (place, end) => s("text", { x: x(place), y: HEIGHT - 6, class: `chart-label ${end ? "chart-end" : ""}` }, new Date(times[place]).toLocaleDateString("en", { month: "short", day: "numeric" }));
  return s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": title },
    s("line", { x1: LEFT, x2: WIDTH - 12, y1: y(0), y2: y(0), class: "chart-zero" }),
    s("polygon", { points: band.join(" "), class: "chart-band" }),
    s("polyline", { points: known.map(({ value }, place) => pair(place, value)).join(" "), class: "chart-line" }),
    ...known.map(({ value }, place) => s("circle", { cx: x(place), cy: y(value), r: 3, class: "chart-dot" })),
    ...[...new Set([least, 0, most])].map(label),
    day(0, false),
    ...(known.length > 1 ? [day(known.length - 1, true)] : []),
  );
}
