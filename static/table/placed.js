// The moment in which an order was taken: its number, large, for everybody at the table.

import { dialog } from "../dialog.js";
import { element } from "../page.js";
import { words } from "./words.js";

/** Shows orders that were taken, the last one on top. */
export function placedDialog() {
  const box = dialog({ kind: "box placed", title: words.success });
  box.root.id = "placed-dialog";
  const number = element("p", "placed-number");
  const go = element("button", "button main wide", words.good);
  go.type = "button";
  go.addEventListener("click", box.close);
  box.body.append(element("p", "placed-label", words.yourNumber), number, element("p", "soft", words.successMore), go);
  return {
    show: (order) => {
      number.textContent = order.order_number;
      box.open();
      box.heading.focus();
    },
  };
}
