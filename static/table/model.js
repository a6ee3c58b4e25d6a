// What a guest's page knows of its cart: applies what the server tells, message by message, and answers what follows.
//
// Knows no document, no socket and no clock; whatever it cannot make sense of changes nothing. `apply` returns *news*:
// what others have done or what became of the order, for whoever tells people of it.

const SILENT = [];

/** The sum of these lines' subtotals, in cents. */
export function centsOf(lines) {
  return lines.reduce((sum, line) => sum + Math.round(Number(line.subtotal) * 100), 0);
}

/** One cart, as the server last told it. */
export class Model {
  constructor() {
    /** The last snapshot with everything since applied to it; null before the first. */
    this.cart = null;
    /** Whether something was missed, so that a snapshot has to be asked for. */
    this.hasGap = false;
    /** The sentence with which it ended; null while it has not. */
    this.ended = null;
  }

  /** Takes one message of the server; returns the news in it. */
  apply(message) {
    if (message === null || typeof message !== "object" || typeof message.type !== "string") {
      return SILENT;
    }
    if (message.type === "snapshot") {
      return this.replace(message);
    }
    const act = Object.prototype.hasOwnProperty.call(ACTS, message.type) ? ACTS[message.type] : null;
    if (act === null || this.cart === null) {
      return SILENT;
    }
    if (CHANGES.has(message.type) && !this.follows(message.revision)) {
      return SILENT;
    }
    const { cart } = this;
    if (CHANGES.has(message.type) && message.type !== "cart_unlocked" && cart.order_processing_status !== "failed") {
      // Why an order was called off is of interest until the cart changes.
      cart.error = null;
    }
    return act(this, message) || SILENT;
  }

  /**
   * Takes a whole cart; a poll's is the same without a type. Also one with a lower revision: a server that was killed may
   * have lost the last changes.
   */
  replace(snapshot) {
    if (!Array.isArray(snapshot.items) || !Array.isArray(snapshot.members)) {
      return SILENT;
    }
    const before = this.cart;
    this.cart = { ...snapshot };
    this.hasGap = false;
    return before === null || before.session !== snapshot.session ? SILENT : missed(before, this.cart);
  }

  /** Who this screen belongs to. */
  get me() {
    return this.member(this.cart && this.cart.you);
  }

  /** A member by id, or null. */
  member(id) {
    return (this.cart && this.cart.members.find((member) => member.member_id === id)) || null;
  }

  /** A line by id, or null. */
  line(id) {
    return (this.cart && this.cart.items.find((line) => line.public_id === id)) || null;
  }

  /** Takes the truth about one line, as a refusal tells it; null: it is gone. The cart's revision stays what it was. */
  settle(id, line) {
    const rest = line === null ? [] : [line];
    this.cart.items = this.cart.items.flatMap((other) => (other.public_id === id ? rest : [other]));
  }

  /** Drinks that this member has in the cart. */
  drinksOf(memberId) {
    const lines = this.cart === null ? [] : this.cart.items.filter((line) => line.owner === memberId);
    return lines.reduce((sum, line) => sum + line.qty, 0);
  }

  /** Everybody who has lines, oneself first: `{ id, member, lines, cents }`; `member` is null if the server told none. */
  shares(lines) {
    const owners = Array.from(new Set(lines.map((line) => line.owner)));
    const mine = this.cart.you;
    owners.sort((one, other) => Number(other === mine) - Number(one === mine));
    return owners.map((id) => {
      const own = lines.filter((line) => line.owner === id);
      return { id, member: this.member(id), lines: own, cents: centsOf(own) };
    });
  }

  /** Whether the cart may be changed now. */
  get isOpen() {
    return this.cart !== null && !this.cart.cart_locked && this.ended === null;
  }

  /**
   * Which of its states the button is in: `place`, `retry`, `pending` (this member has placed the order; `isPlacing`:
   * is about to) or `locked` (somebody else has).
   */
  button(isPlacing) {
    const { cart } = this;
    if (cart.cart_locked) {
      return cart.locked_by_member === cart.you ? "pending" : "locked";
    }
    if (isPlacing) {
      return "pending";
    }
    return cart.order_processing_status === "failed" ? "retry" : "place";
  }

  /** Orders that have not been fetched yet, newest first. */
  get underway() {
    const isUnderway = ({ status }) => status === "received" || status === "preparing" || status === "ready";
    return this.cart === null ? [] : this.cart.orders.filter(isUnderway).reverse();
  }

  // A change of the cart comes in the sequence of the revisions: one that is known is passed over, a gap is noted.
  follows(revision) {
    if (!Number.isInteger(revision) || revision <= this.cart.revision) {
      return false;
    }
    if (revision > this.cart.revision + 1) {
      this.hasGap = true;
      return false;
    }
    this.cart.revision = revision;
    return true;
  }
}

const CHANGES = new Set(["add_item", "update_item", "remove_item", "clear_cart", "cart_locked", "order_confirmed", "cart_unlocked"]);

const NO_ORDER = {
  locked_by_member: null,
  locked_by: null,
  locked_by_name: null,
  pending_order_id: null,
  pending_order_number: null,
  pending_since: null,
  pending_notes: null,
  error: null,
};

const ACTS = {
  add_item: (model, { line, by, total, count }) => {
    const { cart } = model;
    if (!line) {
      return null;
    }
    cart.items = cart.items.filter((other) => other.public_id !== line.public_id).concat([line]);
    Object.assign(cart, { total, count });
    touch(cart);
    return of(model, "added", by, { line });
  },

  update_item: (model, { line, by, total, count }) => {
    const { cart } = model;
    if (!line) {
      return null;
    }
    cart.items = cart.items.map((other) => (other.public_id === line.public_id ? line : other));
    Object.assign(cart, { total, count });
    touch(cart);
    return of(model, "changed", by, { line });
  },

  remove_item: (model, { public_id: id, by, total, count }) => {
    const { cart } = model;
    const line = model.line(id);
    cart.items = cart.items.filter((other) => other.public_id !== id);
    Object.assign(cart, { total, count });
    touch(cart);
    giveUpIfEmpty(cart);
    return line === null ? null : of(model, "removed", by, { line });
  },

  clear_cart: (model, { by, total, count }) => {
    Object.assign(model.cart, NO_ORDER, { items: [], total, count, order_processing_status: "idle" });
    return of(model, "cleared", by, {});
  },

  cart_locked: (model, message) => {
    const { cart } = model;
    Object.assign(cart, {
      cart_locked: true,
      order_processing_status: "processing",
      locked_by_member: message.locked_by_member,
      locked_by: message.locked_by_member,
      locked_by_name: message.locked_by_name,
      pending_order_id: message.order_id,
      pending_order_number: message.order_number,
      pending_since: message.timestamp,
      error: null,
    });
    state(cart, "locked");
    return of(model, "locked", message.locked_by_member, {});
  },

  order_processing: (model, { order_id: id, pending_since: since }) => {
    if (model.cart.pending_order_id === id) {
      model.cart.pending_since = since;
    }
    return null;
  },

  order_confirmed: (model, { order_id: id, order, items, total }) => {
    const { cart } = model;
    const lines = Array.isArray(items) ? items : [];
    const count = lines.reduce((sum, line) => sum + line.qty, 0);
    Object.assign(cart, { items: lines, total, count });
    // It may be one that was given up and made all the same, while the next one is on its way.
    if (cart.pending_order_id === id) {
      Object.assign(cart, NO_ORDER, { cart_locked: false, order_processing_status: "confirmed" });
    } else {
      giveUpIfEmpty(cart);
    }
    if (!order) {
      return null;
    }
    keep(cart, order);
    return [{ what: "confirmed", order }];
  },

  order_failed: (model, { order_id: id, error, allow_retry: allowRetry }) => {
    const { cart } = model;
    if (cart.pending_order_id !== id) {
      return null;
    }
    cart.error = error;
    if (allowRetry) {
      cart.order_processing_status = "failed";
      // What it was placed with stands in a snapshot, for whoever sends it again.
      model.hasGap = true;
    } else {
      // Who holds the cart is told by what opens it.
      Object.assign(cart, { order_processing_status: "idle", pending_order_id: null, pending_order_number: null });
    }
    return [{ what: "failed", error, allowRetry }];
  },

  cart_unlocked: (model, { items, total }) => {
    const { cart } = model;
    Object.assign(cart, { cart_locked: false, locked_by_member: null, locked_by: null, locked_by_name: null, total });
    cart.pending_since = null;
    if (cart.order_processing_status !== "failed") {
      Object.assign(cart, NO_ORDER, { order_processing_status: "idle", error: cart.error });
    }
    if (Array.isArray(items)) {
      cart.items = items;
      cart.count = items.reduce((sum, line) => sum + line.qty, 0);
    }
    giveUpIfEmpty(cart);
    return [{ what: "unlocked" }];
  },

  order_status: (model, { order }) => {
    const before = model.cart.orders.find((other) => order && other.order_id === order.order_id);
    if (!order || (before && before.status === order.status)) {
      if (order) {
        keep(model.cart, order);
      }
      return null;
    }
    keep(model.cart, order);
    return [{ what: "status", order }];
  },

  presence: (model, { members }) => {
    if (!Array.isArray(members)) {
      return null;
    }
    const known = new Set(model.cart.members.map((member) => member.member_id));
    model.cart.members = members;
    return members
      .filter((member) => !known.has(member.member_id) && member.member_id !== model.cart.you)
      .map((member) => ({ what: "joined", by: member.member_id, name: member.name }));
  },

  shop: (model, { sold_out: soldOut, closed }) => {
    const before = model.cart.sold_out;
    Object.assign(model.cart, { sold_out: Array.isArray(soldOut) ? soldOut : before, closed: closed || null });
    return stockNews(before, model.cart.sold_out);
  },

  bill_asked: (model, { by }) => {
    model.cart.bill_asked = true;
    return of(model, "bill", by, {});
  },

  saved: (model, { revision }) => {
    model.cart.saved_revision = Math.max(model.cart.saved_revision, revision);
    return null;
  },

  done: (model, { revision }) => {
    // Every change up to there was told before this; one that was not has been missed.
    model.hasGap = model.hasGap || revision > model.cart.revision;
    return null;
  },

  session_ended: (model, { message }) => {
    model.ended = message || "";
    return [{ what: "ended" }];
  },
};

// A cart that somebody has changed is no longer the one of the last order, but a failed order still waits.
function touch(cart) {
  if (cart.order_processing_status === "confirmed") {
    cart.order_processing_status = "idle";
  }
}

// An order that waited to be sent again is cancelled with its last line.
function giveUpIfEmpty(cart) {
  if (cart.items.length === 0 && cart.order_processing_status === "failed") {
    Object.assign(cart, NO_ORDER, { order_processing_status: "idle" });
  }
}

function state(cart, to) {
  cart.items = cart.items.map((line) => ({ ...line, state: to }));
}

function keep(cart, order) {
  const others = cart.orders.filter((other) => other.order_id !== order.order_id);
  const index = cart.orders.findIndex((other) => other.order_id === order.order_id);
  cart.orders = index < 0 ? others.concat([order]) : cart.orders.map((other, at) => (at === index ? order : other));
}

// News of one who is not this screen's own member.
function of(model, what, by, more) {
  if (by === model.cart.you) {
    return null;
  }
  const member = model.member(by);
  return [{ what, by, name: member === null ? null : member.name, ...more }];
}

function stockNews(before, after) {
  const gone = after.filter((option) => !before.includes(option)).map((option) => ({ what: "soldOut", option }));
  const back = before.filter((option) => !after.includes(option)).map((option) => ({ what: "back", option }));
  return gone.concat(back);
}

// What a new snapshot tells that must not be passed over in silence: what became of orders while nobody listened.
function missed(before, after) {
  const news = stockNews(before.sold_out, after.sold_out);
  after.orders.forEach((order) => {
    const known = before.orders.find((other) => other.order_id === order.order_id);
    if (!known) {
      news.push({ what: order.status === "cancelled" ? "status" : "confirmed", order });
    } else if (known.status !== order.status) {
      news.push({ what: "status", order });
    }
  });
  if (after.order_processing_status === "failed" && before.order_processing_status !== "failed") {
    news.push({ what: "failed", error: after.error, allowRetry: true });
  } else if (after.order_processing_status !== "failed" && (isCalledOff(before, after) || isGone(before, after))) {
    news.push({ what: "failed", error: after.error || null, allowRetry: false });
  }
  return news;
}

function isCalledOff(before, after) {
  return Boolean(after.error) && after.error !== before.error;
}

// An order that was on its way, and of which nobody knows any more.
function isGone(before, after) {
  const id = before.order_processing_status === "processing" ? before.pending_order_id : null;
  return Boolean(id) && after.pending_order_id !== id && !after.orders.some((order) => order.order_id === id);
}
