// The keyboard: 1 to 9 for the first cards, U to undo, ? for help.
//
// A key that is typed into a field, or held with another, belongs to somebody else.

import { anyDialogOpen, dialog } from "./dialog.js";
import { keyTable } from "./console-more.js";
import { text } from "./text.js";

const TYPED_INTO = "input, textarea, select, [contenteditable]";

/** Listens. `onNumber(n)` for 1 to 9 while no dialog is open, `onUndo()` whatever is open. */
export function keyboard({ onNumber, onUndo }) {
  const help = dialog({ kind: "box", title: text.keysHeading });
  help.root.id = "help-dialog";
  help.body.append(keyTable());

  document.addEventListener("keydown", (event) => {
    const held = event.ctrlKey || event.metaKey || event.altKey;
    const typing = event.target instanceof Element && event.target.closest(TYPED_INTO) !== null;
    if (held || typing || event.repeat || event.isComposing || event.defaultPrevented) {
      return;
    }
    if (event.key === "?") {
      help.open();
    } else if (event.shiftKey) {
      return;
    } else if (event.key.toLowerCase() === text.undoKey.toLowerCase()) {
      onUndo();
    } else if (/^[1-9]$/.test(event.key) && !anyDialogOpen()) {
      onNumber(Number(event.key));
    } else {
      return;
    }
    event.preventDefault();
  });
}
