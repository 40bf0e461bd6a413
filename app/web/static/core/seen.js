// What the member sees and opens in lists that have a `requestId`, so that the service learns from its own pages: an
// impression of each card that was in view for a second, and a click. They wait for each other and go in one request.

import { change } from "./api.js";
import { onSession, session } from "./session.js";

const IN_VIEW_MS = 1000;
const IN_VIEW = 0.5; // of the card
const PAUSE_MS = 2000; // what comes into view meanwhile goes in the same request
const RETRY_MS = 30_000;
const MOST = 200; // events of a request: browsers let 64 kB outlive a page
const MOST_WAITING = 1000;

const cards = new WeakMap(); // by the element: { id, requestId, position }
const inView = new Map(); // the elements in view, each with its timer
const noted = new Set(); // the keys of all events of this page load
const opened = new Map(); // by the movie's id: the card that led to it last
let waiting = [];
let timer = null;
let sending = null;

const observer = new IntersectionObserver(look, { threshold: IN_VIEW });

// Note when a card comes into view and when its link is followed, until the signal aborts.
export function watch(element, card, signal) {
  if (!card.requestId || !session()) return;
  cards.set(element, card);
  observer.observe(element);
  for (const kind of ["click", "auxclick"]) element.addEventListener(kind, (event) => follow(event, card), { signal });
  signal?.addEventListener("abort", () => {
    observer.unobserve(element);
    leave(element);
  });
}

// The list that led the member to a movie, in this page load.
export const listOf = (id) => opened.get(id)?.requestId ?? null;

function look(entries) {
  for (const { target, isIntersecting } of entries) {
    leave(target);
    if (isIntersecting) inView.set(target, document.hidden ? 0 : arm(target));
  }
}

const arm = (element) => setTimeout(() => note(cards.get(element), "IMPRESSION"), IN_VIEW_MS);

function leave(element) {
  clearTimeout(inView.get(element));
  inView.delete(element);
}

function follow({ target, button }, card) {
  if (button > 1 || !target.closest("a[href]")) return;
  opened.set(card.id, card);
  note(card, "IMPRESSION"); // else a quick click would be one on a movie that was never seen
  note(card, "CLICK");
}

// The key lets the service count an event once, however often it is sent.
function note({ id, requestId, position }, kind) {
  const idempotencyKey = `${requestId}:${id}:${kind}`;
  if (noted.has(idempotencyKey)) return;
  noted.add(idempotencyKey);
  waiting.push({ movieId: id, kind, requestId, position, idempotencyKey, occurredAt: new Date().toISOString() });
  timer ??= setTimeout(send, PAUSE_MS);
}

// Send what waits. Requests outlive the page; what cannot be sent is sent again later.
export function send() {
  clearTimeout(timer);
  timer = null;
  sending ??= post().finally(() => {
    sending = null;
    if (waiting.length) timer ??= setTimeout(send, PAUSE_MS);
  });
  return sending;
}

async function post() {
  const events = waiting.splice(0, MOST);
  if (!events.length) return;
  try {
    await change("record", { events }, { keepalive: true });
  } catch (error) {
    const refused = error.result?.index ?? null; // such as of a movie that was deleted meanwhile
    if (refused === null && !error.retriable) return;
    if (refused === null) timer ??= setTimeout(send, RETRY_MS);
    waiting = [...events.filter((_, place) => place !== refused), ...waiting].slice(-MOST_WAITING);
  }
}

document.addEventListener("visibilitychange", () => {
  for (const [element, armed] of inView) {
    clearTimeout(armed);
    inView.set(element, document.hidden ? 0 : arm(element));
  }
  if (document.hidden) send();
});
addEventListener("pagehide", send);
addEventListener("online", send);
onSession(() => (waiting = [])); // they are of the member before
