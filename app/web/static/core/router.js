// Pages by address, with the History API. docs/web.md says how to add one.

import { routes } from "../manifest.js";
import { debounced } from "./dom.js";
import { begin, onSession, session } from "./session.js";
import { failure, skeleton } from "../parts/states.js";

const KEPT = 8; // pages that "back" shows as they were left
const SKELETON_MS = 120; // a page that is ready sooner appears without one
const ROLES = ["USER", "CURATOR", "ADMIN"];

const patterns = routes.map((route) => ({
  ...route,
  names: [...route.path.matchAll(/{(\w+)}/g)].map(([, name]) => name),
  expression: new RegExp(`^${route.path.replace(/{\w+}/g, "([^/]+)")}$`),
}));
const kept = new Map(); // by the key of the history's entry: { node, stop, scroll }
let main = null;
let shown = null; // the key of the page on screen
let visit = 0;
const listeners = new Set();

// Call a function with the route after each navigation.
export const onNavigate = (listener) => listeners.add(listener);

function routeOf(address) {
  for (const route of patterns) {
    const found = route.expression.exec(address.pathname);
    if (found) {
      const params = Object.fromEntries(route.names.map((name, place) => [name, decodeURIComponent(found[place + 1])]));
      return { ...route, params, query: address.searchParams };
    }
  }
  return null;
}

const newKey = () => Math.random().toString(36).slice(2);

// Show the page of an address. `replace`: instead of the current entry of the history.
export function navigate(path, { replace = false } = {}) {
  remember();
  history[replace ? "replaceState" : "pushState"]({ key: newKey() }, "", path);
  return show();
}

// Change the query of the address without showing another page.
export function setQuery(query) {
  const text = query.toString();
  history.replaceState(history.state, "", text ? `${location.pathname}?${text}` : location.pathname);
}

function remember() {
  const entry = kept.get(shown);
  if (entry) entry.scroll = scrollY;
}

// Where a route sends who may not see it; null if it may be seen.
function elsewhere(route) {
  const signedIn = session();
  if (route.needs === "visitor") return signedIn ? safe(route.query.get("next")) ?? route.then ?? "/" : null;
  if (!route.needs) return null;
  if (!signedIn) return `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  return route.needs === "member" || ROLES.indexOf(signedIn.role) >= ROLES.indexOf(route.needs) ? null : "/";
}

const safe = (path) => (path && /^\/(?![/\\])/.test(path) ? path : null);

async function show({ first = false } = {}) {
  const current = ++visit;
  const key = (history.state?.key ? history.state : entryWithKey()).key;
  const route = routeOf(new URL(location.href));
  if (!route) return location.reload(); // the service answers what it does not know
  if (kept.has(key)) return reveal(key, route, { first });
  shown = null; // what scrolls from now on is not the former page
  const waiting = setTimeout(() => place(skeleton()), SKELETON_MS);
  const stop = new AbortController();
  try {
    await begin();
    const other = elsewhere(route);
    if (other) return void navigate(other, { replace: true });
    const { page } = await import(`../pages/${route.page}.js`);
    const node = await page({ ...route, signal: stop.signal, reload });
    if (current !== visit) return stop.abort();
    keep(key, { node, stop, scroll: 0, title: node.dataset.title ?? route.title });
    reveal(key, route, { first });
  } catch (error) {
    if (current !== visit || stop.signal.aborted) return;
    stop.abort();
    shown = null;
    place(failure(error, () => show()));
    focusHeading();
    listeners.forEach((listener) => listener(route));
  } finally {
    clearTimeout(waiting);
  }
}

function entryWithKey() {
  history.replaceState({ key: newKey() }, "");
  return history.state;
}

function keep(key, entry) {
  kept.set(key, entry);
  for (const [old, { stop }] of kept) {
    if (kept.size <= KEPT) break;
    if (old === key) continue;
    stop.abort();
    kept.delete(old);
  }
}

function reveal(key, route, { first }) {
  const { node, scroll, title } = kept.get(key);
  shown = key;
  place(node);
  document.title = title === "Marquee" ? title : `${title} · Marquee`;
  scrollTo(0, scroll);
  if (!first && !scroll) focusHeading();
  listeners.forEach((listener) => listener(route));
}

const place = (node) => main.replaceChildren(node);

function focusHeading() {
  const heading = main.querySelector("h1");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

// Load the page of this address again, such as after a failure or with another member.
export function reload() {
  kept.get(shown)?.stop.abort();
  kept.delete(shown);
  shown = null;
  return show();
}

function followLink(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const address = new URL(link.href);
  if (link.target || link.hasAttribute("download") || address.origin !== location.origin || !routeOf(address)) return;
  event.preventDefault();
  if (address.href === location.href) reload();
  else navigate(address.pathname + address.search + address.hash);
}

export function start(element) {
  main = element;
  history.scrollRestoration = "manual";
  addEventListener("click", followLink);
  addEventListener("popstate", () => show());
  addEventListener("scroll", debounced(remember, 100), { passive: true });
  show({ first: true });
  // The session that this browser had is no change.
  begin().catch(() => {}).finally(() => onSession(forget));
}

function forget() {
  for (const { stop } of kept.values()) stop.abort();
  kept.clear();
  shown = null;
  show();
}
