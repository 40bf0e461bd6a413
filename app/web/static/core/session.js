// The sign-in, which all tabs share. The refresh token is in a cookie that no script can read; the access
// token is in the memory of the tabs, which hand it to each other.

import { ApiError } from "./errors.js";

const SIGNED_IN = "marquee:signed-in"; // a hint, so that visitors send no request for a session they lack
const EARLY_SECONDS = 30;

let current = null; // { accessToken, expiresAt, username, role }
let ready = null; // the first refresh of this tab
const listeners = new Set();
const tabs = new BroadcastChannel("marquee-session");

tabs.onmessage = ({ data }) => adopt(data);

export const session = () => current;

// Call a function when another member, or nobody, is signed in from now on.
export function onSession(listener) {
  listeners.add(listener);
}

function adopt(session) {
  const changed = session?.username !== current?.username;
  current = session;
  if (session) localStorage.setItem(SIGNED_IN, "1");
  else localStorage.removeItem(SIGNED_IN);
  if (changed) for (const listener of listeners) listener(session);
}

async function post(body) {
  let response;
  try {
    response = await fetch("/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ApiError("The service cannot be reached.", { retriable: true });
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || !answer) throw new ApiError(answer?.message ?? "The service is not available.", { retriable: true });
  return answer;
}

function share(session) {
  adopt(session);
  tabs.postMessage(session);
}

// Sign in or up. Returns null, or the problem: the field that it is about, and a message.
export async function enter(action, username, password) {
  const { session, problem } = await post({ action, username, password });
  if (problem) return problem;
  share(session);
  return null;
}

export async function leave() {
  await post({ action: "logOut" });
  share(null);
}

// One tab refreshes at a time. Those that waited find the token that it handed over.
async function refresh() {
  const before = current;
  const renew = async () => {
    if (before !== current && isFresh(current)) return;
    share((await post({ action: "refresh" })).session);
  };
  await (navigator.locks ? navigator.locks.request("marquee-session", renew) : renew());
}

const isFresh = (session) => Boolean(session) && Date.parse(session.expiresAt) > Date.now() + EARLY_SECONDS * 1000;

// The session of this browser, found out once for each tab.
export function begin() {
  ready ??= localStorage.getItem(SIGNED_IN) ? refresh().catch((error) => {
    ready = null;
    throw error;
  }) : Promise.resolve();
  return ready;
}

// The token to send; null for visitors. `renew`: the API refused the last one.
export async function token({ renew = false } = {}) {
  await begin();
  if (current && (renew || !isFresh(current))) await refresh();
  return current?.accessToken ?? null;
}
