// The only way of this page to change a cart: what is wanted goes into the queue, over the link, and comes back into the
// model. Ties the three, and knows no document beyond what the tab keeps.

import { cents, choicesIn } from "./drink.js";
import { Link } from "./link.js";
import { Model } from "./model.js";
import { Queue } from "./queue.js";

const AGAIN_MS = 2000;
// What may tell that a cart is open again.
const OPENINGS = new Set(["cart_unlocked", "order_confirmed", "snapshot"]);
const LONGEST_WAIT_MS = 5000;

/** One session's cart on this screen. */
export class Desk {
  /**
   * `on.change()` is called whenever something that is shown may have changed, `on.news(news)` with what others did,
   * `on.refused(error, message)` with what was not done (`message` as it was asked for, or null), `on.over(isOver)` when
   * there is nothing to come back to.
   */
  constructor(session, menu, on) {
    this.session = session;
    this.menu = menu;
    this.on = on;
    this.model = new Model();
    this.isLive = false;
    // Whether the line was away for as long as people notice; at the start it is just not there yet.
    this.isLost = false;
    // Whether the whole cart was asked for on this connection and is not here yet.
    this.isAsked = false;
    this.askAgain = null;
    this.key = `table-queue-${session}`;
    this.queue = new Queue(stored(this.key), (entries) => store(this.key, entries));
    this.link = new Link(session, {
      message: (message) => this.hear(message),
      cart: (cart) => this.take(this.model.replace(cart)),
      live: (isLive) => this.turn(isLive),
      over: (isOver) => on.over(isOver),
    });
  }

  /** Adds a drink: the menu's fields, `qty` and `note`. */
  add(item) {
    this.put({ type: "add_item", item });
  }

  /** Changes what `item` names of a line. */
  update(line, item) {
    this.put({ type: "update_item", public_id: line.public_id, revision: line.revision, item });
  }

  /** Takes a line out. One that was never sent is only forgotten; what was sent may be in the cart already. */
  remove(line) {
    if (line.isGhost) {
      if (!line.wasSent) {
        this.queue.refuse(line.public_id);
        this.on.change();
      }
      return;
    }
    this.put({ type: "remove_item", public_id: line.public_id, revision: line.revision });
  }

  /** Takes all lines out. */
  clear() {
    this.put({ type: "clear_cart", revision: this.model.cart.revision });
  }

  /** Places the order of what is shown; `details` may have `special_instructions`, `name`, `phone`, `pickup_at`. */
  place(details) {
    const { revision, total } = this.model.cart;
    this.put({ type: "place_order", revision, total, ...details });
  }

  /** Changes this member's name. */
  rename(name) {
    this.put({ type: "set_name", name });
  }

  /** Calls staff to the table. */
  askToPay() {
    this.put({ type: "ask_to_pay" });
  }

  /** Whether an order of this screen is on its way to the server. */
  get isPlacing() {
    return this.queue.isPlacing;
  }

  /** How many changes wait for the line. */
  get waiting() {
    return this.queue.unanswered.length;
  }

  /**
   * The lines as they will be once everything asked for is done. `isWaiting`: something of it is not answered yet;
   * `isLeaving`: it was taken out; `isGhost`: the server has not confirmed it yet, which `wasSent` it or not; `isHeld`: it
   * has to wait until the cart is open again.
   */
  get lines() {
    const { cart } = this.model;
    const asked = this.queue.unanswered;
    const lines = cart.items.map((line) => {
      const changes = asked.filter((message) => message.public_id === line.public_id);
      const merged = changes.reduce((whole, { item }) => ({ ...whole, ...item }), line);
      const each = changes.some(({ item }) => item) ? cents(this.menu, merged) / 100 : line.price;
      const isLeaving = changes.some(({ type }) => type === "remove_item") || asked.some(({ type }) => type === "clear_cart");
      return { ...merged, price: each, subtotal: each * merged.qty, isWaiting: changes.length > 0 || isLeaving, isLeaving };
    });
    const ghosts = asked.filter(({ type }) => type === "add_item").map(({ op_id: id, item }) => {
      const each = cents(this.menu, choicesIn(this.menu, item)) / 100;
      const { waits: isHeld, wasSent } = this.queue.find(id);
      const more = { public_id: id, owner: cart.you, state: "pending", isWaiting: true, isGhost: true, isHeld, wasSent };
      return { ...item, ...more, price: each, subtotal: each * item.qty };
    });
    return lines.concat(ghosts);
  }

  /** Leaves this cart alone: its page goes elsewhere. */
  shut() {
    this.link.shut();
  }

  put(message) {
    this.queue.add(message);
    this.flush();
    this.on.change();
  }

  flush() {
    if (this.isLive) {
      const revisionOf = (id) => (this.model.line(id) || { revision: 0 }).revision;
      this.queue.take(revisionOf).forEach((message) => this.link.send(message));
    }
  }

  // Asks for the whole cart: once, however much shows meanwhile that it is needed.
  ask() {
    if (this.isLive && !this.isAsked) {
      this.isAsked = true;
      this.link.send({ type: "snapshot" });
    }
  }

  // What was asked for is here, or will not come any more.
  unask() {
    this.isAsked = false;
    clearTimeout(this.askAgain);
  }

  turn(isLive) {
    this.unask();
    this.isLive = isLive;
    this.isLost = !isLive;
    if (isLive) {
      this.flush();
    } else {
      this.queue.unsend();
    }
    this.on.change();
  }

  hear(message) {
    if (message === null || typeof message !== "object") {
      return;
    }
    const known = this.model.cart === null ? -1 : this.model.cart.revision;
    const wasPlacing = this.queue.isPlacing;
    const news = this.model.apply(message);
    if (message.type === "snapshot") {
      this.unask();
    }
    if (message.type === "error") {
      this.refused(message);
    } else if (typeof message.op_id === "string") {
      this.queue.answer(message.op_id, Number.isInteger(message.revision) ? message.revision : known);
    }
    if (OPENINGS.has(message.type) && this.model.cart !== null && !this.model.cart.cart_locked) {
      this.queue.release();
    }
    if (message.type === "done" && wasPlacing && !this.queue.isPlacing) {
      // It had been placed on an earlier connection, and whatever has become of it is known already.
      this.on.news({ what: "placed" });
    }
    this.take(news);
    if (this.model.hasGap) {
      this.ask();
    }
  }

  take(news) {
    const { cart } = this.model;
    if (cart !== null) {
      this.queue.saved(cart.saved_revision);
      if (cart.cart_locked && cart.locked_by_member === cart.you) {
        this.queue.placed();
      }
    }
    this.flush();
    if (this.model.ended !== null) {
      this.link.shut();
    }
    this.on.change();
    news.forEach((one) => this.on.news(one));
  }

  refused(error) {
    const waits = error.code === "RATE_LIMITED" ? error.retry_after_ms || AGAIN_MS : AGAIN_MS;
    const entry = error.op_id ? this.queue.find(error.op_id) : null;
    const isOrder = entry !== null && entry.message.type === "place_order";
    // Who would wait for minutes is told, and asks again.
    const isShort = error.code === "RATE_LIMITED" && !(isOrder && waits > LONGEST_WAIT_MS);
    if (entry !== null && (isShort || (error.code === "NOT_SAVED" && !isOrder))) {
      setTimeout(() => {
        this.queue.again(error.op_id);
        this.flush();
      }, waits);
      return;
    }
    if (!error.op_id && error.code === "RATE_LIMITED" && this.isAsked) {
      clearTimeout(this.askAgain);
      this.askAgain = setTimeout(() => {
        this.unask();
        this.ask();
      }, waits);
      return;
    }
    if (error.code === "CART_LOCKED" && this.queue.hold(error.op_id)) {
      if (!entry.wasDone) {
        this.on.news({ what: "held", item: entry.message.item });
      }
      return;
    }
    let message = entry === null ? null : this.queue.refuse(error.op_id);
    if (error.code === "CONFLICT" && message !== null && message.public_id) {
      // All that was wanted of it is told as one.
      const later = this.queue.forgetOnTop(message.public_id);
      message = later.reduce((whole, { type, item }) => ({ ...whole, type, item: { ...whole.item, ...item } }), message);
      if (this.model.line(message.public_id)) {
        this.model.settle(message.public_id, error.line || null);
      }
    }
    if (error.code === "STALE_CART" || error.code === "PRICE_MISMATCH") {
      this.ask();
    }
    this.on.refused(error, message);
  }
}

// A browser that keeps nothing (private windows, full disks) costs a reload what was not saved, and nothing else.
function stored(key) {
  try {
    const entries = JSON.parse(sessionStorage.getItem(key) || "[]");
    return Array.isArray(entries) ? entries.filter((entry) => entry && entry.message && entry.message.op_id) : [];
  } catch (error) {
    return [];
  }
}

function store(key, entries) {
  try {
    sessionStorage.setItem(key, JSON.stringify(entries));
  } catch (error) {
    // Then they hold until the page closes.
  }
}
