// A ticket of one order, for a printer of 80 mm: built when it is wanted, as long as it has to be, and only it is printed.

import { chip } from "./console-lines.js";
import { guestOf, lineOf, tableOf } from "./console-model.js";
import { element, moment, money } from "./page.js";
import { text } from "./text.js";

const MM_PER_PIXEL = 25.4 / 96;
const MARGIN_MM = 4;

/** Prints the ticket of an order; `place` is the element of the page that is on paper and nowhere else. */
export function printTicket(place, { order }, { menu, settings }) {
  const table = tableOf(order);
  const items = (order.items || []).map((item, index) => {
    const line = lineOf(item, menu);
    const guest = guestOf(order, index);
    return element(
      "li",
      "ticket-item",
      element("p", "ticket-base", element("b", "", text.times(line.quantity)), " ", line.base),
      ...line.choices.map((choice) => element("p", choice.usual ? "ticket-choice" : "ticket-choice strong", chip(choice))),
      line.note ? element("p", "ticket-note", text.note(line.note)) : "",
      guest ? element("p", "ticket-guest", text.guest(guest)) : "",
    );
  });
  place.textContent = "";
  place.append(
    element("p", "ticket-number", order.order_number),
    table ? element("p", "ticket-table", text.atTable(table)) : "",
    element("p", "ticket-name", order.name || ""),
    element(
      "p",
      "ticket-facts",
      [text.channels[order.channel] || order.channel, moment(new Date(order.created_at * 1000))].join(" · "),
    ),
    element("ul", "ticket-items", ...items),
    order.notes ? element("p", "ticket-note", text.orderNotes(order.notes)) : "",
    element(
      "p",
      "ticket-facts",
      [text.total(money(order.total, settings.currency)), order.phone ? text.maskedPhone(order.phone.slice(-2)) : ""]
        .filter(Boolean)
        .join(" · "),
    ),
  );
  fitPage(place);
  window.print();
}

// A page has no height of its own accord: paper on a roll is cut where the ticket ends.
function fitPage(place) {
  place.classList.add("measured");
  const height = Math.ceil(place.getBoundingClientRect().height * MM_PER_PIXEL) + 2 * MARGIN_MM + 2;
  place.classList.remove("measured");
  const sheet = document.styleSheets[0];
  const rules = Array.from(sheet.cssRules);
  const last = rules.length - 1;
  if (rules[last] instanceof CSSPageRule) {
    sheet.deleteRule(last);
  }
  sheet.insertRule(`@page { size: 80mm ${height}mm; margin: ${MARGIN_MM}mm }`, sheet.cssRules.length);
}
