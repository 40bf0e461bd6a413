// What the operators' pages have in common: the tabs, and small texts.

import { h } from "../core/dom.js";
import { session } from "../core/session.js";

const TABS = {
  "/operate": "Overview",
  "/operate/models": "Models",
  "/operate/lists": "Lists",
  "/operate/streams": "Ingestion",
  "/operate/experiments": "Experiments",
  "/operate/movies": "Movies",
  "/operate/keys": "Keys",
  "/operate/audit": "Audit",
  "/operate/members": "Members",
};
const OF_CURATORS = ["/operate/movies"];

// The head of a page. Curators see the tabs that their role allows.
export function operateHead(title, lead = null) {
  const tabs = Object.entries(TABS).filter(([path]) => session()?.role === "ADMIN" || OF_CURATORS.includes(path));
  requestAnimationFrame(() => head.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }));
  const head = h(
    "div",
    { class: "page-head" },
    h("h1", null, title),
    h("nav", { class: "tabs", "aria-label": "Operate" }, tabs.map(([path, label]) => h("a", { href: path, "aria-current": path === location.pathname ? "page" : null }, label))),
    lead && h("p", { class: "soft" }, lead),
  );
  return head;
}

export const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(digits)} %`);

const within = (low, high, text) => (low === null || high === null ? "" : ` (${text(low)} to ${text(high)})`);

// A number with its interval.
export const withInterval = (value, low, high, text = (number) => number.toFixed(4)) => (value === null || value === undefined ? "–" : `${text(value)}${within(low, high, text)}`);

export const badge = (text, kind = "") => h("span", { class: `badge ${kind && `badge-${kind}`}` }, text);

export const spoken = (code) => code.charAt(0) + code.slice(1).toLowerCase().replaceAll("_", " ");

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

// The time since a moment, such as "3 hours ago".
export function ago(text) {
  const seconds = (Date.now() - Date.parse(text)) / 1000;
  const [size, unit] = [[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([length]) => seconds >= length) ?? [1, "second"];
  return relative.format(-Math.round(seconds / size), unit);
}
