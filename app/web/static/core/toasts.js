// Short messages at the bottom of the screen, which screen readers announce.

import { h, icon } from "./dom.js";

const SECONDS = 7;
const MOST = 3;
const region = h("div", { class: "toasts", role: "status" });

export const toasts = () => region;

// Show a message. `action`: a button with a label and what it does. Returns what takes the message away.
export function toast(text, { action = null, error = false } = {}) {
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    message.remove();
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(close, SECONDS * 1000);
  };
  const message = h(
    "div",
    {
      class: error ? "toast toast-error" : "toast",
      onpointerenter: () => clearTimeout(timer),
      onpointerleave: later,
      onfocusin: () => clearTimeout(timer),
      onfocusout: later,
    },
    h("p", null, text),
    action && h("button", { type: "button", class: "quiet", onclick: () => (close(), action.act()) }, action.label),
    h("button", { type: "button", class: "bare", "aria-label": "Close", onclick: close }, icon("close")),
  );
  region.append(message);
  while (region.children.length > MOST) region.firstChild.remove();
  later();
  return close;
}
