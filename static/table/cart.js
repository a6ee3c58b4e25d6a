// The cart: who added what, what it costs, what the shop should know, and the button that places the order.
//
// On a telephone it is a sheet that opens from below, on a wide screen it stands beside the menu: the same element, moved.

import { confirmed, dialog } from "../dialog.js";
import { byId, element, money, say } from "../page.js";
import { baseOf, choicesIn, goneFrom } from "./drink.js";
import { cartLines } from "./lines.js";
import { orderDetails } from "./details.js";
import { words } from "./words.js";

const WIDE = "(min-width: 60em)";
const LONGER_MS = 10000;

/** The cart of a desk. `sheet` is for changing a line, `door` what the door told, `clock()` the server's time. */
export function cartPanel({ desk, menu, door, sheet, clock }) {
  const symbol = menu.currency.symbol;
  const base = baseOf(menu).name;
  const box = dialog({ kind: "sheet", title: words.cartHeading });
  box.root.id = "cart-sheet";
  const heading = element("h2", "cart-heading", words.cartHeading);
  const list = element("ul", "shares");
  const empty = element("p", "soft cart-empty", words.cartEmpty);
  const details = orderDetails(door, menu, () => desk.lines.reduce((sum, line) => sum + line.qty, 0));
  const clear = element("button", "button quiet", words.clear);
  clear.type = "button";
  const sum = element("span", "cart-sum");
  const state = element("p", "cart-state");
  state.id = "cart-state";
  state.setAttribute("role", "status");
  const go = element("button", "button place");
  go.type = "button";
  go.id = "place-order";
  go.setAttribute("aria-describedby", state.id);
  const total = element("p", "cart-total", element("span", null, words.total), sum);
  const foot = element("div", "cart-foot", total, state, go);
  const body = element("div", "cart-body", list, empty, details.root, clear);
  const root = element("div", "cart", heading, body, foot);
  let longer = 0;

  const isLive = () => desk.isLive;
  const show = cartLines(list, menu, {
    isLive,
    step: (line, qty) => desk.update(line, { qty }),
    edit: (line) => sheet.change(line),
    remove: (line) => {
      desk.remove(line);
      (box.isOpen() ? box.heading : heading).focus();
    },
  });
  heading.tabIndex = -1;

  clear.addEventListener("click", async () => {
    if (await confirmed(words.clear, words.clearMore, words.clearYes)) {
      desk.clear();
    }
  });
  go.addEventListener("click", () => {
    if (go.getAttribute("aria-disabled") !== "true") {
      const given = details.given(desk.model.cart);
      if (given !== null) {
        desk.place(given);
      }
    }
  });

  const wide = window.matchMedia(WIDE);
  const settle = () => {
    if (wide.matches) {
      box.close();
      byId("cart-place").append(root);
    } else {
      box.body.append(root);
    }
    byId("cart-place").hidden = !wide.matches;
  };
  wide.addEventListener("change", () => {
    settle();
    update();
  });
  settle();

  function sentence(kind, isGone) {
    const { cart } = desk.model;
    if (kind === "pending" && !cart.cart_locked && !desk.isLive) {
      // It has not left this screen.
      return words.waitForLine;
    }
    if (kind === "pending" || kind === "locked") {
      const since = Date.parse(cart.pending_since);
      const waited = Number.isNaN(since) ? 0 : clock() - since;
      clearTimeout(longer);
      if (waited >= LONGER_MS) {
        return words.takesLonger;
      }
      longer = setTimeout(update, LONGER_MS - waited + 20);
      return kind === "pending" ? words.processing : words.processedBy(cart.locked_by_name || words.someone);
    }
    if (kind === "retry") {
      return words.failed(cart.error || "");
    }
    if (cart.closed) {
      return words.closed(cart.closed);
    }
    if (isGone) {
      return words.soldOutFirst;
    }
    if (!desk.isLive) {
      return words.waitForLine;
    }
    return cart.error ? words.failedForGood(cart.error) : "";
  }

  function update() {
    const { cart } = desk.model;
    const { lines } = desk;
    const isOpen = desk.model.isOpen && !desk.isPlacing;
    const soldOut = cart.sold_out;
    const title = cart.kind === "table" && cart.members.length > 1 ? words.cartTogether : words.cartHeading;
    box.heading.textContent = title;
    heading.textContent = title;
    const mostOf = (owner) => cart.drinks_per_member - drinks(lines, owner);
    show(desk.model.shares(lines), { soldOut, isOpen, you: cart.you, mostOf });
    empty.hidden = lines.length > 0;
    clear.hidden = lines.length < 2 || !isOpen;
    details.update(cart, isOpen && lines.length > 0, desk.isPlacing);

    const kind = desk.model.button(desk.isPlacing);
    const names = { place: words.place, pending: words.pending, retry: words.retry };
    go.textContent = kind === "locked" ? words.lockedBy(cart.locked_by_name || words.someone) : names[kind];
    go.dataset.kind = kind;
    const isGone = lines.some((line) => goneFrom(menu, choicesIn(menu, line), soldOut).length > 0);
    const mayPlace = (kind === "place" || kind === "retry") && lines.length > 0 && desk.isLive && !cart.closed && !isGone;
    go.setAttribute("aria-disabled", String(!mayPlace || desk.waiting > 0));
    say(state, sentence(kind, isGone));
    state.dataset.kind = kind;
    sum.textContent = money(cart.total, symbol);
    foot.hidden = lines.length === 0 && kind === "place";

    const count = lines.reduce((all, line) => all + line.qty, 0);
    const bar = byId("open-cart");
    byId("bar").hidden = count === 0 || wide.matches;
    byId("bar-count").textContent = words.cartBar(count);
    byId("bar-words").textContent = kind === "place" ? words.viewCart : go.textContent;
    byId("bar-sum").textContent = money(cart.total, symbol);
    bar.dataset.kind = kind;
  }

  byId("open-cart").addEventListener("click", () => {
    box.open();
    box.heading.focus();
  });

  return {
    update,
    close: box.close,
    /** Whether it can be seen. */
    isSeen: () => wide.matches || box.isOpen(),
    /** What the server did not take of an order, said where it can be put right; whether it was. */
    refused: (error) => details.refused(error),
    /** A line in words. */
    inWords: (line) => `${line.qty > 1 ? `${words.times(line.qty)} ` : ""}${line[base]}`,
    /** An order was taken: what was typed for it is done with. */
    done: () => details.done(),
  };
}

function drinks(lines, owner) {
  return lines.filter((line) => line.owner === owner && !line.isLeaving).reduce((sum, line) => sum + line.qty, 0);
}
