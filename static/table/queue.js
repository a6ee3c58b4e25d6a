// What this screen has asked for and may have to ask for again: operations that are not answered, or answered and not
// saved yet. Kept for this tab, so that a reload in the middle loses none.
//
// `answered` is the revision that the present connection has told for an entry. A server that was killed counts on from
// what it had saved, so that a revision of an earlier connection says nothing: such an entry only `wasDone`, and goes again.
//
// Knows neither a socket nor a document. The server does every operation once, however often it is sent.

/** An operation's name that nobody else has. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The operations of one screen at one cart. */
export class Queue {
  /** `keep(entries)` stores them, `entries` are those that were stored. */
  constructor(entries, keep) {
    this.entries = entries;
    this.keep = keep;
    this.unsend();
  }

  /**
   * Takes a message that changes something; returns its operation id. A change of a line that has not been sent yet takes
   * up the one after it: sent one after the other, the second would name a revision that the first has made old.
   */
  add(message) {
    const waiting = this.entries.find(
      (entry) => !entry.wasSent && entry.message.public_id && entry.message.public_id === message.public_id,
    );
    if (waiting && waiting.message.type === "update_item") {
      const item = message.type === "update_item" ? { ...waiting.message.item, ...message.item } : undefined;
      waiting.message = { ...waiting.message, type: message.type, item };
      this.store();
      return waiting.message.op_id;
    }
    const isOnTop = this.entries.some((entry) => entry.answered === null && entry.message.public_id === message.public_id);
    const entry = { message: { ...message, op_id: newId() }, sent: false, wasSent: false, answered: null };
    Object.assign(entry, { wasDone: false, waits: false, isOnTop: Boolean(message.public_id) && isOnTop });
    this.entries.push(entry);
    this.store();
    return entry.message.op_id;
  }

  /** The messages to send now, which count as sent. `revisionOf(publicId)` tells a line's revision, or null. */
  take(revisionOf) {
    const busy = new Set();
    const messages = [];
    this.entries.forEach((entry) => {
      const line = entry.message.public_id;
      // Two changes of one line go one after the other.
      const mayGo = !line || !busy.has(line);
      if (line && entry.answered === null) {
        busy.add(line);
      }
      if (entry.sent || !mayGo) {
        return;
      }
      if (entry.isOnTop && !entry.wasSent && entry.answered === null) {
        entry.message.revision = revisionOf(line) || entry.message.revision;
      }
      entry.sent = true;
      entry.wasSent = true;
      messages.push(entry.message);
    });
    if (messages.length > 0) {
      this.store();
    }
    return messages;
  }

  /** An operation was done; `revision` is the cart's after it. */
  answer(id, revision) {
    const entry = this.find(id);
    if (entry !== null) {
      entry.answered = revision;
      entry.waits = false;
      this.store();
    }
  }

  /** An operation was refused; returns its message, or null. */
  refuse(id) {
    const entry = this.find(id);
    if (entry === null) {
      return null;
    }
    this.entries = this.entries.filter((other) => other !== entry);
    this.store();
    return entry.message;
  }

  /**
   * Forgets what was wanted of a line on top of a change that was refused; returns these messages. What they were to follow
   * is not there, and they would undo what somebody else has done instead.
   */
  forgetOnTop(line) {
    const isForgotten = (entry) => entry.isOnTop && !entry.wasSent && entry.message.public_id === line;
    const forgotten = this.entries.filter(isForgotten);
    this.entries = this.entries.filter((entry) => !isForgotten(entry));
    this.store();
    return forgotten.map((entry) => entry.message);
  }

  /** An operation is to be sent once more. */
  again(id) {
    const entry = this.find(id);
    if (entry !== null) {
      entry.sent = false;
    }
  }

  /**
   * An operation was refused as the cart is locked; whether it is kept until that ends: what was added is, and what was
   * done once, a crash has undone, and somebody has ordered before it could be done again.
   */
  hold(id) {
    const entry = this.find(id);
    if (entry === null || !(entry.wasDone || entry.message.type === "add_item")) {
      return false;
    }
    entry.waits = true;
    return true;
  }

  /** The cart is open again: what was held goes with the next. */
  release() {
    this.entries.filter((entry) => entry.waits).forEach((entry) => {
      entry.waits = false;
      entry.sent = false;
    });
  }

  /** Operations that this connection has answered with this revision or a lower one are saved. */
  saved(revision) {
    const rest = this.entries.filter((entry) => entry.answered === null || entry.answered > revision);
    if (rest.length !== this.entries.length) {
      this.entries = rest;
      this.store();
    }
  }

  /** The connection is gone: whatever is not saved goes again with the next. */
  unsend() {
    this.entries = this.entries.map((entry) => {
      const wasDone = Boolean(entry.wasDone) || Number.isInteger(entry.answered);
      return { ...entry, wasDone, answered: null, sent: false, waits: false };
    });
  }

  /** Messages that never had an answer. */
  get unanswered() {
    return this.entries.filter((entry) => entry.answered === null && !entry.wasDone).map((entry) => entry.message);
  }

  /** Whether an order of this screen has no answer yet. */
  get isPlacing() {
    return this.unanswered.some((message) => message.type === "place_order");
  }

  /** The order of this screen was heard of: the lock tells so. */
  placed() {
    this.entries = this.entries.filter((entry) => entry.message.type !== "place_order");
    this.store();
  }

  find(id) {
    return this.entries.find((entry) => entry.message.op_id === id) || null;
  }

  store() {
    this.keep(this.entries);
  }
}
