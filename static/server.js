// Requests to the server: JSON in and out, a time limit, one kind of error, and the server's clock.
//
// Knows nothing of pages or orders, and never retries: whoever asks decides what a failure means.

const TIME_LIMIT_MS = 10000;

// A `Date` header has whole seconds and travels for a while; a smaller difference is noise.
const CLOCK_TOLERANCE_MS = 5000;

let clockOffsetMs = 0;
// Whether an answer has told the time to a fraction of a second, which no header may then blur.
let isExact = false;

/**
 * A request that did not succeed. `status` is the HTTP status, or 0 when no answer came; `message` is the server's
 * own sentence, or empty; `reference` is the correlation id to quote, or empty.
 */
export class RequestFailed extends Error {
  constructor(status, message, reference) {
    super(message);
    this.name = "RequestFailed";
    this.status = status;
    this.reference = reference;
  }
}

/** The time now by the server's clock: a tablet or TV whose own clock is wrong must not show wrong ages. */
export function now() {
  return new Date(Date.now() + clockOffsetMs);
}

/** Fetches JSON from `path`; throws `RequestFailed`. */
export function get(path) {
  return request(path, { method: "GET" });
}

/**
 * Posts to `path` and answers the JSON that comes back (null: there is none); throws `RequestFailed`. `body`, where there is one, goes as JSON;
 * `version` is that of the order this change was decided on: the server refuses (412) when it is not the order's any more.
 */
export function post(path, body, version) {
  return send("POST", path, body, version);
}

/** Changes part of what is at `path`; otherwise as `post`. */
export function patch(path, body, version) {
  return send("PATCH", path, body, version);
}

/** Removes what is at `path`; throws `RequestFailed`. */
export function remove(path) {
  return send("DELETE", path);
}

function send(method, path, body, version) {
  const headers = { Accept: "application/json" };
  const options = { method, headers };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  if (version !== undefined) {
    headers["If-Match"] = `"${version}"`;
  }
  return request(path, options);
}

async function request(path, options) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  const asked = performance.now();
  try {
    const response = await fetch(
      path,
      Object.assign(
        {
          cache: "no-store",
          credentials: "same-origin",
          headers: { Accept: "application/json" },
          signal: limit.signal,
        },
        options,
      ),
    );
    const received = { at: Date.now(), tookMs: performance.now() - asked };
    readHeader(response, received);
    if (!response.ok) {
      throw await refusal(response);
    }
    const answer = response.status === 204 ? null : await response.json();
    readClock(answer, received);
    return answer;
  } catch (error) {
    // A lost connection, the time limit and a body that is not JSON are all the same to the reader: no answer.
    throw error instanceof RequestFailed ? error : new RequestFailed(0, "", "");
  } finally {
    clearTimeout(timer);
  }
}

async function refusal(response) {
  let body = null;
  try {
    body = await response.json();
  } catch (error) {
    // Not our server's JSON (a proxy's page, say): the status has to do.
  }
  const problem = (body && body.error) || {};
  const message = typeof problem.message === "string" ? problem.message : "";
  const reference = body && typeof body.correlation_id === "string" ? body.correlation_id : "";
  return new RequestFailed(response.status, message, reference);
}

// An answer that has a `now` was written at that moment, and was then under way for about half the time it took.
function readClock(answer, { at, tookMs }) {
  const written = answer === null ? NaN : Date.parse(answer.now);
  if (!Number.isNaN(written)) {
    clockOffsetMs = written + tookMs / 2 - at;
    isExact = true;
  }
}

function readHeader(response, { at }) {
  const served = Date.parse(response.headers.get("Date"));
  if (!isExact && !Number.isNaN(served)) {
    const difference = served - at;
    clockOffsetMs = Math.abs(difference) > CLOCK_TOLERANCE_MS ? difference : 0;
  }
}
