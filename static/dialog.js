// Dialogs: one over another, the keyboard inside the top one, and the focus back where it came from afterwards.
//
// What must be seen whatever is open (the red bar, the undo bar, what is announced) lives in one element, the layer,
// which is moved into the top dialog: everything behind a modal dialog is out of reach.

import { icon } from "./icons.js";
import { element } from "./page.js";
import { text } from "./text.js";

const opened = [];
let layer = null;
let goHome = () => {};
let ids = 0;

/** Makes `target` the layer. `home()` takes the focus when what had it is gone by the time the last dialog closes. */
export function layerIs(target, home) {
  layer = target;
  goHome = home;
}

/** Whether a dialog is open. */
export function anyDialogOpen() {
  return opened.length > 0;
}

/**
 * A dialog with a heading and a close button. `root` is its element, to which its content is appended; `heading` its
 * heading; `open()` and `close()` do what they say; `isOpen()` tells. `kind` is `drawer` (at the side of the screen) or
 * `box`; `onClose()` is called however it was closed.
 */
export function dialog({ kind, title, onClose }) {
  const heading = element("h2", "dialog-title", title);
  heading.id = `dialog-${(ids += 1)}`;
  heading.tabIndex = -1;
  const shut = element("button", "icon-button dialog-close", icon("close"));
  shut.type = "button";
  shut.setAttribute("aria-label", text.close);
  const body = element("div", "dialog-body");
  const root = element("dialog", `dialog ${kind}`, element("div", "dialog-head", heading, shut), body);
  root.setAttribute("aria-labelledby", heading.id);
  document.body.append(root);

  shut.addEventListener("click", () => root.close());
  // The backdrop belongs to the dialog: a tap on it is one on the dialog itself, outside of its box.
  root.addEventListener("click", (event) => {
    const box = root.getBoundingClientRect();
    const inside =
      event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (event.target === root && event.detail > 0 && !inside) {
      root.close();
    }
  });
  root.addEventListener("close", () => {
    const index = opened.indexOf(root);
    if (index >= 0) {
      opened.splice(index, 1);
    }
    raise();
    if (onClose) {
      onClose();
    }
    // A browser may not have noticed yet that the focus is in what has just closed.
    const has = document.activeElement;
    if (opened.length === 0 && (has === document.body || root.contains(has))) {
      goHome();
    }
  });

  function open() {
    if (root.open) {
      return;
    }
    root.showModal();
    opened.push(root);
    raise();
  }

  return { root, body, heading, open, close: () => root.open && root.close(), isOpen: () => root.open };
}

/** A dialog that asks before something that cannot be undone; the promise answers whether to go on. */
export function confirmed(title, words, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const box = dialog({
      kind: "box",
      title,
      onClose: () => {
        box.root.remove();
        resolve(answer);
      },
    });
    const go = element("button", "button danger", yes);
    go.type = "button";
    go.addEventListener("click", () => {
      answer = true;
      box.close();
    });
    const back = element("button", "button", text.goBack);
    back.type = "button";
    back.addEventListener("click", box.close);
    box.body.append(element("p", "", words), element("div", "button-row", back, go));
    box.open();
    back.focus();
  });
}

function raise() {
  if (layer !== null) {
    const top = opened[opened.length - 1] || document.body;
    if (layer.parentNode !== top) {
      const focused = layer.contains(document.activeElement) ? document.activeElement : null;
      top.append(layer);
      if (focused !== null) {
        focused.focus();
      }
    }
  }
}
