// The API's description: reads /api/openapi.json and shows its routes, bodies, answers and shapes.
//
// Knows OpenAPI as far as this server writes it, and no route by name.

import { byId, element, openPage, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const SCHEMA_PREFIX = "#/components/schemas/";

openPage(text.apiTitle);
show();

async function show() {
  let document;
  try {
    document = await get("/api/openapi.json");
  } catch (error) {
    say(byId("problem"), text.apiFailed);
    return;
  }
  byId("about").append(...paragraphs(document.info.description));
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      showRoute(document, method, path, methods[method]);
    }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    byId("schemas").append(shape(name, schema));
  }
  // The browser looked for the part named in the address before there was one.
  const wanted = window.document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted) {
    wanted.scrollIntoView();
  }
}

function showRoute(document, method, path, route) {
  const id = `${method}-${path.replace(/[^a-z0-9]+/gi, "-")}`;
  const title = () => [element("span", "api-method", method.toUpperCase()), " ", element("code", null, path)];
  byId("contents").append(element("li", null, link(`#${id}`, ...title()), " ", summary(route)));
  const section = element("section", "api-route", element("h2", null, ...title()), element("p", "api-summary", summary(route)));
  section.id = id;
  section.append(...paragraphs(route.description));
  section.append(element("p", "soft", route.security ? text.apiGuarded : text.apiOpen));
  if (route.parameters) {
    section.append(element("h3", null, text.apiParameters), list(route.parameters.map(parameter)));
  }
  if (route.requestBody) {
    section.append(element("h3", null, text.apiBody), ...content(document, route.requestBody.content));
  }
  section.append(element("h3", null, text.apiAnswers));
  section.append(list(Object.entries(route.responses).map(([status, answer]) => answered(document, status, answer))));
  byId("routes").append(section);
}

function summary(route) {
  return route.summary || "";
}

function parameter(given) {
  const note = given.required ? text.apiRequired : text.apiOptional;
  const place = text.apiPlaces[given.in] || given.in;
  return [element("code", null, given.name), ` ${place}, ${note} – `, ...kind(given.schema), ". ", ...words(given.description)];
}

function answered(document, status, answer) {
  const parts = [element("b", null, status), " ", ...words(answer.description)];
  const headers = Object.keys(answer.headers || {}).filter((name) => name !== "X-Correlation-ID");
  if (headers.length > 0) {
    parts.push(` ${text.apiHeaders} `, element("code", null, headers.join(", ")), ".");
  }
  const isError = /^[45]/.test(status);
  return isError || !answer.content ? parts : parts.concat(content(document, answer.content));
}

function content(document, types) {
  const [type, body] = Object.entries(types)[0];
  const name = body.schema && body.schema.$ref ? body.schema.$ref.replace(SCHEMA_PREFIX, "") : "";
  const schema = name ? document.components.schemas[name] : body.schema;
  const shown = [element("p", null, element("code", null, type), " – ", ...kind(body.schema || {}))];
  const example = body.example || firstExample(document, schema);
  if (example !== undefined) {
    const shape = element("pre", null, JSON.stringify(example, null, 2));
    // Where it is wider than the screen, the keyboard has to be able to scroll it.
    shape.tabIndex = 0;
    shown.push(shape);
  }
  return shown;
}

/** A schema's example, or that of the first shape that it may have. */
function firstExample(document, schema) {
  const whole = schema && schema.$ref ? document.components.schemas[schema.$ref.replace(SCHEMA_PREFIX, "")] : schema;
  if (!whole) {
    return undefined;
  }
  return whole.examples ? whole.examples[0] : whole.anyOf && firstExample(document, whole.anyOf[0]);
}

function shape(name, schema) {
  const section = element("section", "api-shape", element("h3", null, name), ...paragraphs(schema.description));
  section.id = `schema-${name}`;
  section.append(...members(schema));
  return section;
}

function members(schema) {
  if (!schema.properties) {
    return [element("p", null, ...kind(schema))];
  }
  const required = schema.required || [];
  const member = ([name, value]) => {
    const parts = [element("code", null, name), required.indexOf(name) < 0 ? ` ${text.apiOptional} – ` : " – "];
    parts.push(...kind(value));
    if (value.description) {
      parts.push(". ", ...words(value.description));
    }
    return value.properties ? parts.concat(members(value)) : parts;
  };
  return [list(Object.entries(schema.properties).map(member))];
}

/** What a value is, in a few words and links. */
function kind(schema) {
  if (schema.$ref) {
    const name = schema.$ref.replace(SCHEMA_PREFIX, "");
    return [link(`#schema-${name}`, name)];
  }
  if (schema.anyOf) {
    return schema.anyOf.reduce((parts, one) => parts.concat(parts.length > 0 ? [` ${text.apiOr} `] : [], kind(one)), []);
  }
  if ("const" in schema) {
    return [element("code", null, JSON.stringify(schema.const))];
  }
  if (schema.enum) {
    return [element("code", null, schema.enum.join(" | "))];
  }
  if (schema.type === "array") {
    return [`${text.apiListOf} `, ...kind(schema.items || {})];
  }
  const parts = [[].concat(schema.type || text.apiAnything).join(` ${text.apiOr} `)];
  const limits = ["format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default"];
  const stated = limits.filter((name) => name in schema).map((name) => `${name} ${JSON.stringify(schema[name])}`);
  return stated.length > 0 ? parts.concat(` (${stated.join(", ")})`) : parts;
}

function list(entries) {
  return element("ul", "api-list", ...entries.map((parts) => element("li", null, ...parts)));
}

function link(address, ...children) {
  const made = element("a", null, ...children);
  made.href = address;
  return made;
}

function paragraphs(description) {
  return (description || "").split("\n\n").filter(Boolean).map((part) => element("p", null, ...words(part)));
}

/** A text whose `quoted` parts are code. */
function words(description) {
  const parts = (description || "").split("`");
  return parts.map((part, index) => (index % 2 === 1 ? element("code", null, part) : part));
}
