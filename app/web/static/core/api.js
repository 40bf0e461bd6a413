// Requests to the GraphQL API, by the names of the documents in `documents/`.

import { documents } from "../manifest.js";
import { ApiError } from "./errors.js";
import { token } from "./session.js";

const TRIES = 3; // of a query that the service is too busy for
const LONGEST_WAIT_SECONDS = 5;
const BUSY = new Set(["OVERLOADED", "SERVICE_UNAVAILABLE", "TIMEOUT"]);

const wait = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

async function post(name, variables, { signal, keepalive, renew }) {
  const access = await token({ renew });
  let response;
  try {
    response = await fetch("/graphql", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json",
        ...(access ? { Authorization: `Bearer ${access}` } : {}),
      },
      body: JSON.stringify({ documentId: `sha256:${documents[name]}`, variables }),
      signal,
      keepalive,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The service cannot be reached. Check the connection, then try again.", { retriable: true });
  }
  const answer = await response.json().catch(() => null);
  if (!answer) throw new ApiError("The service is not available.", { code: "SERVICE_UNAVAILABLE", retriable: true });
  const [fault] = answer.errors ?? [];
  if (!fault) return { data: answer.data };
  const code = fault.extensions?.code ?? "";
  const after = Number(response.headers.get("Retry-After")) || fault.extensions?.retryAfter || 1;
  return { fault: new ApiError(fault.message, { code, retriable: BUSY.has(code) || code === "RATE_LIMITED" }), after };
}

// Send a document and return its data. `keepalive`: the request outlives the page. Raises ApiError, and what
// aborted the signal.
export async function ask(name, variables = {}, { signal, keepalive = false } = {}) {
  let renew = false;
  for (let tries = 1; ; tries++) {
    const { data, fault, after } = await post(name, variables, { signal, keepalive, renew });
    if (!fault) return data;
    if (fault.code === "UNAUTHENTICATED" && !renew) {
      renew = true;
      continue;
    }
    if (!BUSY.has(fault.code) || after > LONGEST_WAIT_SECONDS || tries === TRIES) throw fault;
    await wait(after, signal);
  }
}

// Send a mutation whose document names its result `result`. Raises ApiError for an expected failure too.
export async function change(name, input, options = {}) {
  const { result } = await ask(name, { input }, options);
  if (result.message !== undefined) throw new ApiError(result.message, { code: result.code, result });
  return result;
}
