// Keeps a cart equal to the server's: a socket, and while that is away a poll every two seconds.
//
// Knows no document. The socket is tried again at once when it is lost, and then after longer and longer waits, of five
// seconds at most; when the device comes back to a network or the page to the front, at once again.

import { get } from "../server.js";

const POLL_MS = 2000;
const WAITS_MS = [0, 500, 1000, 2000, 3500, 5000];
// A line that is gone without a word is noticed by its silence.
const PING_MS = 15000;
const SILENCE_MS = 25000;
const OPENING_MS = 5000;

const NOT_A_MEMBER = 4001;
const OVER = 4004;
// One of too many screens: whoever came back at once would throw out another.
const CROWDED = 1013;
const CROWDED_MS = 4000;
const UNSEEN_MS = 30000;

/** The connection of one session. */
export class Link {
  /**
   * `on.message(object)` gets what the socket says, `on.cart(snapshot)` what a poll brought, `on.live(bool)` whether the
   * socket is there, `on.over(isMember)` that there is nothing to come back to.
   */
  constructor(session, on) {
    this.session = session;
    this.on = on;
    this.socket = null;
    this.isLive = false;
    this.isShut = false;
    this.failures = 0;
    this.timers = {};
    const retry = () => this.hurry();
    window.addEventListener("online", retry);
    window.addEventListener("offline", () => this.socket && this.drop(this.socket));
    document.addEventListener("visibilitychange", () => !document.hidden && this.hurry());
    this.dial();
  }

  /** Sends a message, or says that it cannot. */
  send(message) {
    if (!this.isLive) {
      return false;
    }
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Ends it for good. */
  shut() {
    this.isShut = true;
    Object.values(this.timers).forEach(clearTimeout);
    if (this.socket !== null) {
      const { socket } = this;
      this.socket = null;
      socket.close();
    }
  }

  dial() {
    if (this.isShut || this.socket !== null) {
      return;
    }
    clearTimeout(this.timers.dial);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/tables/${encodeURIComponent(this.session)}`);
    this.socket = socket;
    this.timers.opening = setTimeout(() => this.drop(socket), OPENING_MS);
    socket.addEventListener("message", (event) => socket === this.socket && this.read(event.data));
    socket.addEventListener("close", (event) => this.lost(socket, event.code));
    socket.addEventListener("error", () => this.lost(socket, 0));
  }

  read(data) {
    this.heard();
    let message = null;
    try {
      message = JSON.parse(data);
    } catch (error) {
      // Not of this protocol: passed over.
      return;
    }
    // The first message is the whole cart: only then does this screen know what it may ask for.
    if (!this.isLive && message && message.type === "snapshot") {
      this.isLive = true;
      this.failures = 0;
      clearTimeout(this.timers.opening);
      clearTimeout(this.timers.poll);
      this.on.message(message);
      this.on.live(true);
      return;
    }
    this.on.message(message);
  }

  heard() {
    clearTimeout(this.timers.silence);
    clearTimeout(this.timers.ping);
    const { socket } = this;
    this.timers.ping = setTimeout(() => this.send({ type: "ping" }), PING_MS);
    this.timers.silence = setTimeout(() => this.drop(socket), SILENCE_MS);
  }

  // A socket that does not answer may take minutes to close: it is left to itself.
  drop(socket) {
    this.lost(socket, 0);
    socket.close();
  }

  lost(socket, code) {
    if (socket !== this.socket || this.isShut) {
      return;
    }
    this.socket = null;
    ["opening", "ping", "silence"].forEach((name) => clearTimeout(this.timers[name]));
    const wasLive = this.isLive;
    this.isLive = false;
    if (code === NOT_A_MEMBER || code === OVER) {
      this.shut();
      this.on.over(code === OVER);
      return;
    }
    if (wasLive || this.failures === 0) {
      this.on.live(false);
      clearTimeout(this.timers.poll);
      this.timers.poll = setTimeout(() => this.poll(), POLL_MS);
    }
    const crowded = document.hidden ? UNSEEN_MS : CROWDED_MS;
    const wait = code === CROWDED ? crowded : WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)];
    this.failures += 1;
    this.timers.dial = setTimeout(() => this.dial(), wait);
  }

  hurry() {
    if (!this.isShut && this.socket === null) {
      this.dial();
    }
  }

  async poll() {
    try {
      const cart = await get(`/api/tables/${encodeURIComponent(this.session)}/cart`);
      if (!this.isLive && !this.isShut) {
        this.on.cart(cart);
      }
    } catch (error) {
      if (!this.isShut && (error.status === 401 || error.status === 404)) {
        this.shut();
        this.on.over(error.status === 404);
        return;
      }
    }
    if (!this.isLive && !this.isShut) {
      this.timers.poll = setTimeout(() => this.poll(), POLL_MS);
    }
  }
}
