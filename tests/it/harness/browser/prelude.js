// What every script of the browser tests may use: pages as people meet them, by what is visible and what it is called.

const isShown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";
const all = (selector, root) => Array.from((root || document).querySelectorAll(selector)).filter(isShown);
const one = (selector, root) => all(selector, root)[0];
const says = (element) => (element ? element.innerText.replace(/\s+/g, " ").trim() : "");
const page = () => says(document.body);

// What a control is called: by its label for those who do not see it, or else by its words.
const nameOf = (element) => {
  const labels = Array.from(element.labels || []).map((label) => label.textContent);
  const by = element.getAttribute("aria-labelledby");
  const other = by ? by.split(" ").map((id) => document.getElementById(id).textContent) : labels;
  return (element.getAttribute("aria-label") || other.join(" ") || element.textContent).replace(/\s+/g, " ").trim();
};

// The first control that is seen and called so; `words` is a text that the name or what it shows begins with, or a
// regular expression.
const control = (words, root) => {
  const fits = (text) => (words instanceof RegExp ? words.test(text) : text.startsWith(words));
  const kinds = "button, a[href], summary, input, select, textarea, [role=button], [role=switch], [role=tab]";
  return all(kinds, root).find((element) => fits(nameOf(element)) || fits(says(element)));
};

// Whatever has a scrollbar.
const scrolled = () => {
  const tooLarge = (element) => element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1;
  const overflow = (element) => getComputedStyle(element).overflow;
  // What the root and the body say about it holds for the window.
  const window = [document.documentElement, document.body].every((element) => !/hidden|clip/.test(overflow(element)));
  const parts = all("body *").filter((element) => /auto|scroll/.test(overflow(element)));
  return parts.concat(window ? [document.documentElement] : []).filter(tooLarge).map((element) => element.outerHTML.slice(0, 80));
};

// How high a digit of this element is, in pixels: what its font makes of its type size.
const digitHeight = (element) => {
  const style = getComputedStyle(element);
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  return measure.measureText("0").actualBoundingBoxAscent;
};

// Whether nothing of this element lies outside the window, and nothing else before its middle.
const isInSight = (element) => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  const front = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight && element.contains(front);
};

// The card of an order on the console, and the button on it that does something.
const card = (number) => one(`.card[data-order="${number}"]`);
const action = (number, name) => one(`[data-action="${name}"]`, card(number));
