// A paged list that is loaded again when its order or filter changes. What was shown stays until then.

import { h } from "../core/dom.js";
import { setQuery } from "../core/router.js";
import { paged } from "./paged.js";
import { problem } from "./states.js";

// `find(cursor, signal)`: requests a page, as { items, pageInfo } and more, from the start where the cursor is
// null. `show`: called with each first page. Returns the element, and `load`.
export async function tunable(query, find, { signal, show = () => {}, ...how }) {
  const first = await find(null, signal);
  const list = paged(first, { ...how, signal, more: (after) => find(after, signal) });
  const fault = h("div");
  let current = null;

  async function load() {
    current?.abort();
    const mine = (current = new AbortController());
    setQuery(query);
    fault.replaceChildren();
    list.element.setAttribute("aria-busy", "true");
    try {
      const answer = await find(null, AbortSignal.any([mine.signal, signal]));
      list.replace(answer);
      show(answer);
      return true;
    } catch (error) {
      if (!mine.signal.aborted && !signal.aborted) fault.replaceChildren(problem(error, load));
      return false;
    } finally {
      if (mine === current) list.element.removeAttribute("aria-busy");
    }
  }
  return { first, load, element: h("div", null, fault, list.element) };
}
