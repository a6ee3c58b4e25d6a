// What could not be delivered because of an order: each with its reason and a button to try it again.
//
// Shows what it is given. What has failed is the server's knowledge; when to load it anew is the console's business.

import { element, inWords, say } from "./page.js";
import { post } from "./server.js";
import { text } from "./text.js";

/**
 * A list of failed deliveries. `root` is its element; `show(failures)` brings it up to date. `onTried()` is called after
 * a tap, however it ended: what is true now has to be loaded. A delivery that is still failed keeps its elements, so that
 * an update never takes a button away from under a finger.
 */
export function failureList(onTried) {
  const root = element("ul", "failures");
  const lines = new Map();
  show([]);

  function show(failures) {
    const wanted = failures.map((failure) => {
      const { order_id: order, delivery } = failure;
      const key = `${order}:${delivery.id}`;
      if (!lines.has(key)) {
        lines.set(key, failureLine(order, onTried));
      }
      const line = lines.get(key);
      line.show(failure);
      return [key, line.root];
    });
    const keys = new Set(wanted.map(([key]) => key));
    lines.forEach((line, key) => {
      if (!keys.has(key)) {
        line.root.remove();
        lines.delete(key);
      }
    });
    root.append(...wanted.map(([, line]) => line).filter((line) => line.parentNode !== root));
    root.hidden = wanted.length === 0;
  }

  return { root, show };
}

function failureLine(order, onTried) {
  let id = 0;
  let busy = false;

  const what = element("p", "failure-what");
  const why = element("p", "failure-why");
  const problem = element("p", "failure-why");
  problem.setAttribute("role", "alert");
  const again = element("button", "again", text.tryAgain);
  again.type = "button";
  const root = element("li", "failure", what, why, problem, again);
  say(problem, "");

  again.addEventListener("click", async () => {
    if (busy) {
      return;
    }
    busy = true;
    again.setAttribute("aria-disabled", "true");
    say(problem, "");
    try {
      await post(`/api/v1/orders/${encodeURIComponent(order)}/deliveries/${id}/retry`);
    } catch (error) {
      say(problem, inWords(error));
    }
    busy = false;
    again.removeAttribute("aria-disabled");
    onTried();
  });

  function show({ order_number: number, delivery }) {
    id = delivery.id;
    const kind = text.deliveryKinds[delivery.kind] || delivery.kind;
    say(what, text.notDelivered(kind, number));
    say(why, delivery.reason);
    again.setAttribute("aria-label", text.tryAgainLabel(kind, number));
  }

  return { root, show };
}
