// One order as a card for staff: what to make, for whom, and a Done button.
//
// Renders whatever fields the menu gives an item and knows no menu. Decides nothing about orders: which card stands
// where is the console's business, and what a status allows is the server's.

import { failureList } from "./failures.js";
import { age, element, inWords, money, readable, say } from "./page.js";
import { post } from "./server.js";
import { text } from "./text.js";

// The fields of an item that are not choices of the menu.
const OWN_FIELDS = ["quantity", "price", "subtotal", "note"];

// Only these can become ready; a recall or an undo is another button, another day.
const CAN_BE_DONE = ["received", "preparing"];

/**
 * A card. `root` is its element; `show(order, failures)` brings it and what could not be delivered of it up to date,
 * `tick()` its age. `onTried()` is called after a tap, however it ended: what is true now has to be loaded. The buttons
 * stay the same elements for the card's life, so that an update never takes one away from under a finger.
 */
export function orderCard(onTried) {
  let order = null;
  let shownAs = "";
  let phoneOpen = false;
  // From the tap on Done until the outcome is on the card; `saving` only until the server has answered.
  let busy = false;
  let saving = false;

  const number = element("h3", "card-number");
  const status = element("p", "card-status");
  const when = element("time", "card-age");
  const channel = element("span", "card-channel");
  const name = element("p", "card-name");
  const items = element("ul", "items");
  const notes = element("p", "card-notes");
  const failed = failureList(onTried);
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  const total = element("span", "card-total");
  const phone = element("button", "phone");
  phone.type = "button";
  const done = element("button", "done");
  done.type = "button";
  const root = element(
    "li",
    "card",
    element("div", "card-head", number, element("p", "card-facts", when, channel)),
    status,
    name,
    items,
    notes,
    failed.root,
    problem,
    element("div", "card-foot", total, phone),
    done,
  );
  say(problem, "");

  phone.addEventListener("click", () => {
    phoneOpen = !phoneOpen;
    showPhone();
  });
  done.addEventListener("click", finish);

  function show(next, failures) {
    order = next;
    tick();
    failed.show(failures);
    const as = JSON.stringify(next);
    if (as === shownAs) {
      return;
    }
    shownAs = as;
    root.dataset.status = order.status;
    number.textContent = order.order_number;
    number.setAttribute("aria-label", text.orderHeading(order.order_number));
    when.dateTime = order.timestamp || "";
    say(channel, text.channels[order.channel] || order.channel);
    say(status, text.statuses[order.status] || order.status);
    say(name, order.name);
    items.textContent = "";
    items.append(...(order.items || []).map(itemLine));
    say(notes, order.notes && text.orderNotes(order.notes));
    total.textContent = text.total(money(order.total));
    done.hidden = CAN_BE_DONE.indexOf(order.status) < 0;
    say(problem, "");
    if (!saving) {
      release();
    }
    done.setAttribute("aria-label", text.doneLabel(order.order_number));
    showPhone();
  }

  function tick() {
    when.textContent = age(order.created_at);
  }

  function showPhone() {
    phone.hidden = !order.phone;
    if (order.phone) {
      const end = order.phone.slice(-2);
      phone.textContent = phoneOpen ? readable(order.phone) : text.maskedPhone(end);
      phone.setAttribute("aria-label", phoneOpen ? text.hidePhone(readable(order.phone)) : text.showPhone(end));
      phone.setAttribute("aria-expanded", String(phoneOpen));
    }
  }

  async function finish() {
    if (busy) {
      return;
    }
    const before = shownAs;
    busy = true;
    saving = true;
    // Not `disabled`, which would throw the focus of a keyboard to the top of the page.
    done.setAttribute("aria-disabled", "true");
    done.textContent = text.doneWorking;
    say(problem, "");
    try {
      await post(`/api/orders/${encodeURIComponent(order.order_number)}/done`);
      // The card stays as it is until the changed order is here; it may have come before the answer.
      if (shownAs !== before) {
        release();
      }
    } catch (error) {
      say(problem, inWords(error));
      release();
    }
    saving = false;
    onTried();
  }

  function release() {
    busy = false;
    done.removeAttribute("aria-disabled");
    done.textContent = text.done;
  }

  return { root, show, tick };
}

// The first field is what the item is, each further one a choice; a choice left empty is nothing to make.
function itemLine(item) {
  const fields = Object.keys(item).filter((key) => OWN_FIELDS.indexOf(key) < 0);
  const base = fields.length > 0 ? asWords(item[fields[0]]) : "";
  const choices = fields
    .slice(1)
    .map((key) => [key.replace(/_/g, " "), asWords(item[key])])
    .filter((choice) => choice[1] !== "")
    .map((choice) => element("li", "choice", element("span", "choice-key", choice[0]), " ", choice[1]));
  const line = element(
    "li",
    "item",
    element("p", "item-base", element("b", "item-quantity", text.times(item.quantity)), " ", base),
  );
  if (choices.length > 0) {
    line.append(element("ul", "choices", ...choices));
  }
  if (item.note) {
    line.append(element("p", "item-note", text.note(item.note)));
  }
  return line;
}

function asWords(value) {
  if (value === null || value === undefined) {
    return "";
  }
  return Array.isArray(value) ? value.map(asWords).join(", ") : String(value);
}
