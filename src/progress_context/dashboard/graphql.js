// The one way to the service: POST /graphql, relative to the page.

import { authorization } from "./token.js";

const TIMEOUT = 15_000;
const ENDPOINT = new URL("graphql", document.baseURI);

/** The service did not answer, or refused. `code` names why; `message` is the service's own words. */
export class ServiceError extends Error {
  constructor(code, message = "", status = 0) {
    super(message);
    this.name = "ServiceError";
    this.code = code;
    this.status = status;
  }

  /** Whether a token, or another one, is what it takes. */
  get needsToken() {
    return this.status === 401 || this.code === "FORBIDDEN";
  }
}

/**
 * A named operation's answer: its data, the log position it reflects, and the service's clock.
 *
 * Throws ServiceError for anything but complete data, and the signal's own AbortError when aborted.
 */
export async function ask(query, variables, signal) {
  const [, operationName] = /^query (\w+)/.exec(query);
  const response = await post({ query, variables, operationName }, signal);
  const body = await decode(response, signal);
  const [error] = body?.errors ?? [];
  if (error) throw new ServiceError(error.extensions?.code ?? "REFUSED", error.message, response.status);
  const refused = response.status < 500 ? "REFUSED" : "SERVICE_DOWN";
  if (!body?.data) throw new ServiceError(refused, `HTTP ${response.status}`, response.status);
  return {
    data: body.data,
    position: body.extensions?.position ?? null,
    now: Date.parse(response.headers.get("date")) || Date.now(),
  };
}

async function post(body, signal) {
  try {
    return await fetch(ENDPOINT, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json;q=0.9",
        ...authorization(),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
    });
  } catch (error) {
    throw unreachable(error, signal);
  }
}

async function decode(response, signal) {
  try {
    return await response.json();
  } catch (error) {
    throw unreachable(error, signal, `HTTP ${response.status}`, response.status);
  }
}

const unreachable = (error, signal, message = String(error.message), status = 0) =>
  (signal.aborted ? error : new ServiceError("SERVICE_DOWN", message, status));
