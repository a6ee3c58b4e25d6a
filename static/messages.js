// Which messages of callers this device has not shown yet. Not kept by the server: whoever looks, looks at one device.

const KEY = "messages-shown-until";

// Where the browser keeps nothing (private windows, full disks), what was shown is new again with the next page.
let shownUntil = 0;

/** How many messages are newer than those that were shown; `left` are their instants. */
export function unheard(left) {
  const until = remembered();
  return left.filter((at) => Date.parse(at) > until).length;
}

/** These are shown now. */
export function shown(left) {
  shownUntil = Math.max(remembered(), ...left.map((at) => Date.parse(at)));
  try {
    localStorage.setItem(KEY, String(shownUntil));
  } catch (error) {
    // Then it holds until the page closes.
  }
}

function remembered() {
  try {
    return Math.max(shownUntil, Number(localStorage.getItem(KEY)) || 0);
  } catch (error) {
    return shownUntil;
  }
}
