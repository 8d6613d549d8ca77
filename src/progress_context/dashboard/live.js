// Live updates: the subscription over server-sent events. While it is away, whoever uses it looks by themselves.

import { CHANGES } from "./queries.js";
import { authorization } from "./token.js";

const STREAM = new URL("graphql/stream", document.baseURI);
const SILENCE = 40_000; // the service says something every 12 s
const PATIENCE = [1_000, 2_000, 5_000, 10_000, 30_000];
const UNKNOWN = [400, 404, 405, 406];

/**
 * Follow a learner from `after` on, until stopped: `onChange()` when something changed, `onState(open)` when the
 * stream opens or breaks off. It connects again by itself, and goes on where it was.
 */
export function follow(userId, after, { onChange, onState }) {
  const view = { userId, after, onChange, onState, failures: 0, timer: 0, stopped: false, stream: null };
  connect(view);
  return {
    stop() {
      view.stopped = true;
      clearTimeout(view.timer);
      view.stream?.abort();
    },
  };
}

async function connect(view) {
  view.stream = new AbortController();
  try {
    await listen(view);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error; // the network's own errors
  }
  if (view.stopped) return;
  view.onState(false);
  const pause = PATIENCE[Math.min(view.failures++, PATIENCE.length - 1)];
  view.timer = setTimeout(() => connect(view), pause);
}

async function listen(view) {
  const response = await fetch(STREAM, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", ...authorization() },
    body: JSON.stringify({ query: CHANGES, variables: { userId: view.userId, after: view.after } }),
    signal: view.stream.signal,
  });
  if (UNKNOWN.includes(response.status)) view.stopped = true;
  if (!response.ok) return;
  view.onState(true);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part; !(part = await nextPart(reader, view)).done;) {
    const events = (rest + part.value).split("\n\n");
    rest = events.pop();
    for (const event of events) hear(view, event);
  }
}

/** What the stream says next; a stream that says nothing for too long is given up. */
async function nextPart(reader, view) {
  const silence = setTimeout(() => view.stream.abort(), SILENCE);
  try {
    return await reader.read();
  } finally {
    clearTimeout(silence);
  }
}

function hear(view, event) {
  const lines = event.split("\n");
  if (!lines.includes("event: next")) return;
  const data = lines.find((line) => line.startsWith("data: "));
  const update = JSON.parse(data.slice(6)).data?.progressUpdated;
  if (!update) return;
  view.failures = 0;
  view.after = update.position;
  view.onChange();
}
