// What movies are to the member: rating, watchlist, rejection. All cards of a movie show the same marks.
// A change shows at once; if the service refuses it, it is taken back with a message that offers to try again.

import { change } from "./api.js";
import { listOf } from "./seen.js";
import { session } from "./session.js";
import { navigate } from "./router.js";
import { toast, UNDO } from "./toasts.js";

const NONE = { stars: null, onWatchlist: false, hidden: false };
const known = new Map(); // by the movie's id
const waiting = new Map(); // the last change of a movie, so that the next one waits for it
const target = new EventTarget();

// Take over the marks in an answer of the API.
export function learn(movie) {
  const { viewer } = movie;
  if (viewer) set(movie.id, { stars: viewer.rating?.stars ?? null, onWatchlist: viewer.onWatchlist, hidden: viewer.hidden });
}

export const marksOf = (id) => known.get(id) ?? NONE;

// Call a function with the marks of a movie, now and after each change until the signal aborts.
export function follow(id, listener, signal) {
  target.addEventListener(id, () => listener(marksOf(id)), { signal });
  listener(marksOf(id));
}

// Call a function with the id of each movie whose marks the member changes in this tab.
export const onChange = (listener, signal) => target.addEventListener("change", ({ detail }) => listener(detail), { signal });

function set(id, marks) {
  const before = marksOf(id);
  if (Object.keys(NONE).every((name) => before[name] === marks[name])) return;
  known.set(id, marks);
  target.dispatchEvent(new Event(id));
}

async function apply(movie, marks, send, done, again) {
  if (!session()) {
    toast("Join to rate movies and keep a watchlist.", { action: { label: "Join", act: () => navigate("/join") } });
    return false;
  }
  const before = marksOf(movie.id);
  set(movie.id, { ...before, ...marks });
  const sent = (waiting.get(movie.id) ?? Promise.resolve()).catch(() => {}).then(send);
  waiting.set(movie.id, sent);
  try {
    await sent;
  } catch (error) {
    if (waiting.get(movie.id) === sent) set(movie.id, before);
    toast(`${movie.title} is not changed: ${error.message}`, { error: true, action: { label: "Try again", act: again } });
    return false;
  }
  target.dispatchEvent(new CustomEvent("change", { detail: movie.id }));
  if (done) toast(done.text, { action: { label: UNDO, act: () => done.undo(before) } });
  return true;
}

const starsText = (stars) => `${stars} ${stars === 1 ? "star" : "stars"}`;

// Rate a movie, or remove its rating where `stars` is null. `quietly`: without a message on success.
export function rate(movie, stars, { quietly = false } = {}) {
  const send = () =>
    stars === null ? change("remove-rating", { movieId: movie.id }) : change("rate", { movieId: movie.id, stars });
  const text = stars === null ? `The rating of ${movie.title} is removed.` : `${movie.title}: ${starsText(stars)}.`;
  const undo = ({ stars: before }) => rate(movie, before, { quietly: true });
  return apply(movie, { stars }, send, quietly ? null : { text, undo }, () => rate(movie, stars, { quietly }));
}

// Put a movie on the watchlist, or take it off.
export function watchlist(movie, on, { quietly = false } = {}) {
  const send = () => (on ? record(movie, "WATCHLIST") : change("remove-from-watchlist", { movieId: movie.id }));
  const text = on ? `${movie.title} is on your watchlist.` : `${movie.title} is off your watchlist.`;
  const undo = () => watchlist(movie, !on, { quietly: true });
  return apply(movie, { onWatchlist: on }, send, quietly ? null : { text, undo }, () => watchlist(movie, on, { quietly }));
}

// Reject a movie, so that it is not recommended, or take that back.
export function hide(movie, on, { quietly = false } = {}) {
  const send = () =>
    on
      ? record(movie, "NOT_INTERESTED")
      : change("remove-feedback", { movieId: movie.id, kinds: ["NOT_INTERESTED", "DISLIKE"] });
  const text = on ? `${movie.title} will not be recommended.` : `${movie.title} may be recommended again.`;
  const undo = () => hide(movie, !on, { quietly: true });
  return apply(movie, { hidden: on }, send, quietly ? null : { text, undo }, () => hide(movie, on, { quietly }));
}

// The list that the card is of, or that led to the page of the movie, lets the service count what its list led to.
const record = ({ id, requestId }, kind) => change("record", { events: [{ movieId: id, kind, requestId: requestId ?? listOf(id) }] });
