// Short messages at the bottom of the screen, which screen readers announce. Ctrl+Z, or Cmd+Z, presses the last "Undo".

import { h, icon } from "./dom.js";

const SECONDS = 7;
const MOST = 3;
export const UNDO = "Undo";
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
    action && h("button", { type: "button", class: "quiet", "aria-keyshortcuts": action.label === UNDO ? "Control+Z Meta+Z" : null, onclick: () => (close(), action.act()) }, action.label),
    h("button", { type: "button", class: "bare", "aria-label": "Close", onclick: close }, icon("close")),
  );
  region.append(message);
  while (region.children.length > MOST) region.firstChild.remove();
  later();
  return close;
}

// From the keyboard a message is far away, and gone by the time the focus is there.
addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.target.matches?.("input:not([type=radio]), textarea")) return;
  const button = [...region.querySelectorAll("[aria-keyshortcuts]")].at(-1);
  if (!button) return;
  event.preventDefault();
  button.click();
});
