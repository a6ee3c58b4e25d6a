// The few pictures of the console, drawn with lines in the colour of the words beside them.
//
// Never the only sign of anything: each stands beside words, or in a button that has a label.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
  muted: "M8 6.500A6 6 0 0 1 18 11v4M6 10v6l-2 2h13M10 21h4M4 4l16 16",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  stock: "M5 8h14l-1.500 12h-11zM9 8l1-4h4l1 4M8.500 13h7",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  print: "M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z",
  rush: "M13 3L5 14h6l-1 7 8-11h-6z",
  undo: "M9 6L4 11l5 5M4 11h10a6 6 0 0 1 6 6v1",
  check: "M5 12.500l5 5L19 7",
  close: "M6 6l12 12M18 6L6 18",
  phone: "M6 3h4l2 5-2.500 1.500a11 11 0 0 0 5 5L16 12l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 4 5a2 2 0 0 1 2-2z",
};

/** The picture of this name as an element that screen readers pass over. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  path.setAttribute("d", PATHS[name] || "");
  svg.append(path);
  return svg;
}

/** Puts its picture in front of the words of every element that names one in `data-icon`. */
export function drawIcons() {
  document.querySelectorAll("[data-icon]").forEach((target) => target.prepend(icon(target.dataset.icon)));
}
