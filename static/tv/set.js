// What keeps a television well that hangs on a wall for months: it does not fall asleep, nothing burns in, and it
// takes up new pages at night. Knows nothing of orders.

import { drift } from "./layout.js";

const MINUTE_MS = 60000;
// One step of the drift, as a share of the screen's shorter side: 3 px of 1080.
const STEP = 0.0028;

// When a shop is hardly open, and at most once a day.
const NIGHT_HOUR = 4;
const AGE_MS = 12 * 60 * MINUTE_MS;

/** Keeps the screen awake where the browser can, and moves these elements a little every minute. */
export function keepWell(pictures) {
  let lock = null;
  let asking = false;
  let minute = 0;

  async function stayAwake() {
    if (!("wakeLock" in navigator) || document.hidden || asking || (lock !== null && !lock.released)) {
      return;
    }
    asking = true;
    try {
      lock = await navigator.wakeLock.request("screen");
    } catch (error) {
      // Refused (low power, no TLS): asked again in a minute.
      lock = null;
    }
    asking = false;
  }

  stayAwake();
  document.addEventListener("visibilitychange", stayAwake);
  setInterval(() => {
    minute += 1;
    const { x, y } = drift(minute);
    const step = Math.max(1, Math.round(Math.min(window.innerWidth, window.innerHeight) * STEP));
    pictures.forEach((picture) => {
      picture.style.transform = `translate(${x * step}px, ${y * step}px)`;
    });
    stayAwake();
  }, MINUTE_MS);
}

/** Whether a page that has been open for `ageMs` should be loaded afresh in this hour of the day. */
export function isTimeForNewPages(ageMs, hour) {
  return hour === NIGHT_HOUR && ageMs > AGE_MS;
}
