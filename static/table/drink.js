// What follows from the menu for one drink: what it would cost, which rules it breaks, what of it is sold out.
//
// Pure, and for show only: the server checks and prices every line itself. A drink is an object of the menu's fields, a
// text for a choice of one and a list for a choice of many.

/** The field that says what a drink is. */
export function baseOf(menu) {
  return menu.fields.find((field) => field.kind === "base");
}

/** The fields that say how. */
export function choicesOf(menu) {
  return menu.fields.filter((field) => field.kind !== "base");
}

/** A drink of this base with everything else as it is when nothing is said. */
export function plain(menu, base) {
  const drink = { [baseOf(menu).name]: base };
  choicesOf(menu).forEach((field) => {
    drink[field.name] = isMany(field) ? [] : field.default;
  });
  return drink;
}

/** Only the menu's fields of a line. */
export function choicesIn(menu, line) {
  const drink = {};
  menu.fields.forEach((field) => {
    const said = line[field.name];
    drink[field.name] = Array.isArray(said) ? said.slice() : said;
  });
  return drink;
}

/** Whether a field is a choice of any number. */
export function isMany(field) {
  return field.kind === "many";
}

/** Whether this option is chosen. */
export function has(drink, field, option) {
  const said = drink[field.name];
  return Array.isArray(said) ? said.includes(option) : said === option;
}

/** The drink with this option chosen or, where it is one of many, left off. */
export function toggled(drink, field, option) {
  if (!isMany(field)) {
    return { ...drink, [field.name]: option };
  }
  const chosen = field.options.map(({ name }) => name).filter((name) => has(drink, field, name) !== (name === option));
  return { ...drink, [field.name]: chosen };
}

/** What one of it costs, in cents. */
export function cents(menu, drink) {
  return menu.fields.reduce((sum, field) => {
    const chosen = field.options.filter(({ name }) => has(drink, field, name));
    return sum + chosen.reduce((part, { price }) => part + Math.round(Number(price || 0) * 100), 0);
  }, 0);
}

/** The least that a drink of this base costs, in cents, and whether there are dearer ones. */
export function startingAt(menu, base) {
  const least = plain(menu, base);
  let canCostMore = false;
  choicesOf(menu).forEach((field) => {
    const prices = field.options.map(({ price }) => Number(price || 0));
    canCostMore = canCostMore || prices.some((price) => price > 0);
    if (!isMany(field)) {
      least[field.name] = field.options[prices.indexOf(Math.min(...prices))].name;
    }
  });
  return { cents: cents(menu, least), canCostMore };
}

/** The rules that a drink breaks: `{ rule, field, option, requiredField, required }`. */
export function broken(menu, drink) {
  return menu.rules.map((rule) => asked(menu, rule)).filter((one) => {
    return one !== null && has(drink, one.field, one.option.name) && !has(drink, one.requiredField, one.required.name);
  });
}

/** The rules of one option: those it is refused by when what it requires is missing. */
export function rulesOf(menu, field, option) {
  return menu.rules
    .map((rule) => asked(menu, rule))
    .filter((one) => one !== null && one.field === field && one.option.name === option);
}

/** Whether an option is sold out; one whose name another field has, too, is told with its field's. */
export function isOut(field, option, soldOut) {
  return soldOut.includes(option) || soldOut.includes(`${field.name}:${option}`);
}

/** What is chosen and sold out, by name. */
export function goneFrom(menu, drink, soldOut) {
  return menu.fields.flatMap((field) =>
    field.options.map(({ name }) => name).filter((name) => has(drink, field, name) && isOut(field, name, soldOut)),
  );
}

/** What is different from how it is when nothing is said, as words; the base is not among them. */
export function inWords(menu, drink) {
  return choicesOf(menu).flatMap((field) => {
    const said = drink[field.name];
    if (Array.isArray(said)) {
      return said;
    }
    return said === undefined || said === null ? [] : [isPlain(field) ? said : `${said} ${label(field)}`];
  });
}

/** What a field is called, in lower case. */
export function label(field) {
  return String(field.label || field.name).toLowerCase();
}

// Whether a field's options explain themselves ("regular ice"), or need its name behind them ("50% sweetness").
function isPlain(field) {
  const last = label(field);
  return field.options.every(({ name }) => name.toLowerCase().includes(last)) || field.name === "size";
}

function asked(menu, rule) {
  const place = (at) => {
    const field = menu.fields.find(({ name }) => at && name === at.field);
    const option = field && field.options.find(({ name }) => name === at.option);
    return option ? { field, option } : null;
  };
  const on = place(rule.if);
  const needs = place(rule.then);
  return on && needs
    ? { say: rule.say, field: on.field, option: on.option, requiredField: needs.field, required: needs.option }
    : null;
}
