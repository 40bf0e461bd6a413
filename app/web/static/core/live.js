// Subscriptions, over one websocket for all of a tab (the protocol graphql-transport-ws).

import { documents } from "../manifest.js";
import { token } from "./session.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;

const open = new Map(); // by id: { name, variables, next }
let socket = null;
let wait = FIRST_WAIT_MS;
let last = 0;

// Call `next` with the data of each event until the signal aborts. A lost connection is opened again.
export function subscribe(name, variables, next, signal) {
  const id = String(++last);
  open.set(id, { name, variables, next });
  signal.addEventListener("abort", () => {
    open.delete(id);
    if (socket?.acknowledged) send({ id, type: "complete" });
    if (!open.size) socket?.close();
  });
  if (socket?.acknowledged) begin(id);
  else if (!socket) connect();
}

const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

function begin(id) {
  const { name, variables } = open.get(id);
  send({ id, type: "subscribe", payload: { documentId: `sha256:${documents[name]}`, variables } });
}

function connect() {
  const here = new WebSocket(`${location.origin.replace(/^http/, "ws")}/graphql`, "graphql-transport-ws");
  socket = here;
  here.onopen = async () => {
    const access = await token().catch(() => null);
    if (here === socket) send({ type: "connection_init", payload: access ? { Authorization: `Bearer ${access}` } : {} });
  };
  here.onmessage = ({ data }) => receive(JSON.parse(data));
  here.onclose = () => {
    if (socket === here) socket = null;
    if (!open.size) return;
    setTimeout(() => open.size && !socket && connect(), wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  };
}

function receive({ id, type, payload }) {
  if (type === "connection_ack") {
    socket.acknowledged = true;
    wait = FIRST_WAIT_MS;
    for (const each of open.keys()) begin(each);
  } else if (type === "ping") send({ type: "pong" });
  else if (type === "next" && payload.data) open.get(id)?.next(payload.data);
  else if (type === "error" || type === "complete") {
    // The session has ended, or the service stops: a new connection has a new token.
    if (open.has(id)) socket.close();
  }
}
