// Which orders are shown large because they have just become ready, and for how long. Pure but for what it remembers;
// the time is told to it.
//
// It remembers the ready numbers of the last board and at most a few that wait, so it stays small for months.

// Together on the screen, and waiting behind them. Beyond that an order just stands in its column.
const TOGETHER = 4;
const WAITING = 4;

const SHOWN_MS = 6000;
// What lay below is seen for at least so long before anything is shown large again, however busy the shop is.
const REST_MS = 8000;
// For how long an order stands out in its column.
const FRESH_MS = 20000;
// Orders that became ready during a longer absence are no news any more.
const ABSENCE_MS = 120000;

/** What is to be shown large. */
export class Heroes {
  constructor() {
    this.known = null;
    this.seenAt = 0;
    this.waiting = [];
    this.shown = [];
    this.shownUntil = -Infinity;
    this.freshUntil = new Map();
  }

  /** Takes in the ready orders of a board (`{ order_number, name }`) and answers those that are new since the last. */
  see(ready, atMs) {
    const numbers = ready.map((order) => order.order_number);
    const isFirst = this.known === null || atMs - this.seenAt > ABSENCE_MS;
    const fresh = isFirst ? [] : ready.filter((order) => this.known.indexOf(order.order_number) < 0);
    const isReady = (order) => numbers.indexOf(order.order_number) >= 0;
    this.known = numbers;
    this.seenAt = atMs;
    fresh.forEach((order) => this.freshUntil.set(order.order_number, atMs + FRESH_MS));
    Array.from(this.freshUntil.keys())
      .filter((number) => numbers.indexOf(number) < 0)
      .forEach((number) => this.freshUntil.delete(number));
    // Picked up, or not ready after all: gone at once.
    this.shown = this.shown.filter(isReady);
    if (this.shown.length === 0) {
      this.shownUntil = Math.min(this.shownUntil, atMs);
    }
    this.waiting = this.waiting.filter(isReady).concat(fresh).slice(0, WAITING + TOGETHER);
    return fresh;
  }

  /** Which orders are to be shown large at this moment; none, mostly. */
  at(nowMs) {
    if (nowMs >= this.shownUntil) {
      this.shown = [];
    }
    if (this.waiting.length > 0 && nowMs >= this.shownUntil + REST_MS) {
      this.shown = this.waiting.splice(0, TOGETHER);
      this.shownUntil = nowMs + SHOWN_MS;
    }
    return this.shown;
  }

  /** Whether this order became ready a moment ago. */
  isFresh(number, nowMs) {
    return nowMs < (this.freshUntil.get(number) || -Infinity);
  }

  /** Forgets who was to be shown: the page cannot be believed at the moment. */
  clear() {
    this.waiting = [];
    this.shown = [];
  }
}
