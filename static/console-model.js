// What the console knows: the last snapshot of the server, what follows from it, and what has changed since the one
// before. No elements and no requests here; every function answers from what it is given.

// The fields of an item that are not choices of the menu.
const OWN_FIELDS = ["quantity", "price", "subtotal", "note"];
const FINISHED = ["completed", "cancelled"];
const TO_MAKE = ["pending", "received", "preparing"];
const RECALL_MS = 15 * 60 * 1000;
// The till has had its time: from here on people decide.
const TILL_PATIENCE_MS = 2 * 60 * 1000;

/** Whether an order is over. A status this page does not know is not: it is shown as work. */
export function isFinished(order) {
  return FINISHED.indexOf(order.status) >= 0;
}

/** Open orders in the order in which to make them: rushed ones first, then the oldest. */
export function inTurn(entries) {
  return entries.slice().sort((a, b) => {
    if ((a.rushed_at === null) !== (b.rushed_at === null)) {
      return a.rushed_at === null ? 1 : -1;
    }
    const rushed = a.rushed_at === null ? 0 : Date.parse(a.rushed_at) - Date.parse(b.rushed_at);
    return rushed || a.order.created_at - b.order.created_at || serial(a.order) - serial(b.order);
  });
}

/**
 * What may be done with an order now, by name: `accept`, `start`, `done`, `pickup`, `undo`, `recall`, `cancel`, `rush`.
 * `undo` is there instead of `recall` while the server would still take the last change back, `accept` when the till has not.
 */
export function actionsOf(entry, at) {
  const { order } = entry;
  const undo = entry.undo_until !== null && Date.parse(entry.undo_until) > at.getTime();
  const back = undo ? "undo" : "recall";
  switch (order.status) {
    case "pending":
      return isStuck(entry, at) ? ["accept", "cancel", "rush"] : ["cancel", "rush"];
    case "received":
      return ["start", "done", "cancel", "rush"];
    case "preparing":
      return ["done", "cancel", "rush"];
    case "ready":
      return ["pickup", back, "cancel"];
    case "completed":
      return undo || at.getTime() - Date.parse(since(order)) < RECALL_MS ? [back] : [];
    case "cancelled":
      return undo ? [back] : [];
    default:
      return [];
  }
}

/**
 * Whether staff has to decide about a pending order: the till has refused it, or has not said for long what became of it.
 */
export function isStuck({ order, ticket }, at) {
  const waits = ticket && ticket.state === "waiting";
  return order.status === "pending" && (!waits || at.getTime() - Date.parse(ticket.since) >= TILL_PATIENCE_MS);
}

/** Whether the till has an order that is cancelled here: somebody has to cancel it there. */
export function isTakenAnyway({ order, ticket }) {
  return order.status === "cancelled" && Boolean(ticket) && ticket.state === "taken";
}

/** The table that an order was placed at, or an empty string. What programs attach to theirs is nobody's table. */
export function tableOf(order) {
  const name = order.channel === "web" && order.metadata ? order.metadata.table : "";
  return typeof name === "string" ? name : "";
}

/** Whose line this is, or an empty string: one guest's name for each line of an order from a table. */
export function guestOf(order, index) {
  const guests = order.channel === "web" && order.metadata ? order.metadata.guests : null;
  const guest = Array.isArray(guests) ? guests[index] : "";
  return typeof guest === "string" ? guest : "";
}

/** When the order got the status it has. */
export function since(order) {
  const last = (order.history || []).filter((step) => step.status === order.status).pop();
  return last ? last.at : order.updated_at;
}

/**
 * What has to be made for one line: `base` in words, and its choices as `{ key, label, words, many, usual }`; `usual` is
 * true for what one gets without asking. The menu says which field is which; fields it does not know come after those.
 */
export function lineOf(item, menu) {
  const names = Object.keys(item).filter((name) => OWN_FIELDS.indexOf(name) < 0);
  const known = new Map(menu.map((field) => [field.name, field]));
  const base = names.find((name) => known.has(name) && known.get(name).kind === "base") || names[0];
  const choices = [];
  names
    .filter((name) => name !== base)
    .forEach((name) => {
      const field = known.get(name);
      const many = field ? field.kind === "many" : Array.isArray(item[name]);
      const label = (field && field.label) || name.replace(/_/g, " ");
      const usual = field ? field.default : undefined;
      inList(item[name]).forEach((words) => choices.push({ key: name, label, words, many, usual: words === usual }));
    });
  // What differs from the usual is what a hand has to remember, so it comes first.
  choices.sort((a, b) => weight(a) - weight(b));
  return { base: inList(item[base]).join(", "), quantity: item.quantity, note: item.note || "", choices };
}

/** The lines of an order that are ticked, as a set of indexes. */
export function madeOf(entry) {
  return new Set(entry.made || []);
}

/**
 * What is still to make, all day: `{ drinks, groups }`, a group for the base and for each field of many, with
 * `{ label, options: [{ name, count }] }`; what nobody has ordered is left out.
 */
export function allDay(open, menu) {
  let drinks = 0;
  const counted = menu
    .filter((field) => field.kind !== "one")
    .map((field) => ({ field, counts: new Map() }));
  open
    .filter((entry) => TO_MAKE.indexOf(entry.order.status) >= 0)
    .forEach((entry) => {
      const made = madeOf(entry);
      (entry.order.items || []).forEach((item, index) => {
        if (made.has(index)) {
          return;
        }
        const quantity = Number(item.quantity) || 0;
        drinks += quantity;
        counted.forEach(({ field, counts }) => {
          inList(item[field.name]).forEach((name) => counts.set(name, (counts.get(name) || 0) + quantity));
        });
      });
    });
  const groups = counted
    .map(({ field, counts }) => ({
      name: field.name,
      label: field.label,
      options: Array.from(counts, ([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count),
    }))
    .filter((group) => group.options.length > 0);
  return { drinks, groups };
}

/**
 * What a search finds: digits are the beginning of an order's number or the end of a phone number, however they are
 * spaced; anything else is part of a name, of the customer or of the table.
 */
export function search(entries, query) {
  const words = query.trim().toLowerCase();
  if (words === "") {
    return entries;
  }
  const digits = words.replace(/\D/g, "");
  return entries.filter(({ order }) => {
    if (digits === "" || /[^\d\s+().#-]/.test(words)) {
      return `${order.name || ""}\n${tableOf(order)}`.toLowerCase().indexOf(words) >= 0;
    }
    return order.order_number.indexOf(digits) === 0 || (order.phone || "").replace(/\D/g, "").endsWith(digits);
  });
}

/** Every order of a snapshot once, by id. */
export function byOrderId(snapshot) {
  const all = new Map();
  snapshot.recent.concat(snapshot.open).forEach((entry) => all.set(entry.order.order_id, entry));
  return all;
}

/** The orders of a snapshot, newest first: the last ones, and before them whatever is still open. */
export function newestFirst(snapshot) {
  return Array.from(byOrderId(snapshot).values()).sort(
    (a, b) => b.order.created_at - a.order.created_at || serial(b.order) - serial(a.order),
  );
}

/**
 * What happened between two snapshots, as `{ kind, order }`: `new`, `cancelled`, `changed` (what to make or what to
 * know about it), `moved` (another status).
 */
export function changesBetween(before, after) {
  const old = byOrderId(before);
  const changes = [];
  byOrderId(after).forEach(({ order }, id) => {
    const was = old.get(id);
    if (!was) {
      if (!isFinished(order)) {
        changes.push({ kind: "new", order });
      }
    } else if (was.order.version < order.version) {
      if (was.order.status !== order.status) {
        changes.push({ kind: order.status === "cancelled" ? "cancelled" : "moved", order });
      } else if (content(was.order) !== content(order)) {
        changes.push({ kind: "changed", order });
      }
    }
  });
  return changes;
}

/** A snapshot in which `entry` is what is known of its order; an older version than the one known changes nothing. */
export function withEntry(snapshot, entry) {
  const known = byOrderId(snapshot).get(entry.order.order_id);
  if (!known || known.order.version > entry.order.version) {
    return snapshot;
  }
  const same = (other) => other.order.order_id === entry.order.order_id;
  const open = snapshot.open.filter((other) => !same(other));
  if (!isFinished(entry.order)) {
    open.push(entry);
  }
  const recent = snapshot.recent.map((other) => (same(other) ? entry : other));
  if (isFinished(entry.order) && !recent.some(same)) {
    recent.push(entry);
  }
  return Object.assign({}, snapshot, { open, recent });
}

function content(order) {
  return JSON.stringify([order.items, order.notes, order.name, order.phone, order.estimated_ready_time]);
}

function weight(choice) {
  return choice.usual ? 2 : choice.many ? 1 : 0;
}

function inList(value) {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((one) => one !== null && one !== undefined && one !== "").map(String);
}

// Orders of the same second stand in the order of their ids: ORD-main-9 before ORD-main-10.
function serial(order) {
  return Number((/(\d+)$/.exec(order.order_id) || [0, 0])[1]);
}
