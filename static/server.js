// Requests to the server: JSON in and out, a time limit, one kind of error, and the server's clock.
//
// Knows nothing of pages or orders, and never retries: whoever asks decides what a failure means.

const TIME_LIMIT_MS = 10000;

// A `Date` header has whole seconds and travels for a while; a smaller difference is noise.
const CLOCK_TOLERANCE_MS = 5000;

let clockOffsetMs = 0;

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

/** Posts to `path` without a body and answers the JSON that comes back; throws `RequestFailed`. */
export function post(path) {
  return request(path, { method: "POST" });
}

async function request(path, options) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
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
    readClock(response);
    if (!response.ok) {
      throw await refusal(response);
    }
    return await response.json();
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

function readClock(response) {
  const served = Date.parse(response.headers.get("Date"));
  if (!Number.isNaN(served)) {
    const difference = served - Date.now();
    clockOffsetMs = Math.abs(difference) > CLOCK_TOLERANCE_MS ? difference : 0;
  }
}
