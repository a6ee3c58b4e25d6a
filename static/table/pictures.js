// Cups for drinks without a photo, drawn here. They say nothing of what is in them – this page knows no drink –, only their
// sleeves differ, by the drink's place in the menu, so that one finds it again.

const SVG = "http://www.w3.org/2000/svg";
const SLEEVES = 7;

function shape(tag, className, attributes) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute("class", className);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

/** The cup of the drink at this place in the menu. */
export function cup(index) {
  const svg = shape("svg", `cup sleeve-${index % SLEEVES}`, { viewBox: "0 0 100 120", focusable: "false", "aria-hidden": "true" });
  svg.append(
    shape("ellipse", "cup-shadow", { cx: 50, cy: 112, rx: 26, ry: 4 }),
    shape("path", "cup-paper", { d: "M25 32h50l-6.500 73a7 7 0 0 1-7 6.500H38.500a7 7 0 0 1-7-6.500z" }),
    shape("path", "cup-sleeve", { d: "M27 51h46l-3.600 38H30.600z" }),
    shape("path", "cup-leaf", { d: "M50 58c8 5 9 16 0 24c-9-8-8-19 0-24z" }),
    shape("path", "cup-vein", { d: "M50 63v17" }),
    shape("path", "cup-lid", { d: "M30 19h40l3 9H27z" }),
    shape("path", "cup-lid", { d: "M24 27h52a3 3 0 0 1 0 6.500H24a3 3 0 0 1 0-6.500z" }),
  );
  return svg;
}
