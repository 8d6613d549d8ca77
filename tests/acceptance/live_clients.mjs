// Ask a service with the reference clients of graphql-ws and graphql-sse: node live_clients.mjs FOLDER URL LEARNER.
// Writes a line of JSON for every payload; a line on stdin lets the next client begin.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [, , folder, url, learner] = process.argv;
const require = createRequire(`${folder}/package.json`);
const ws = require("graphql-ws");
const sse = require("graphql-sse");
const WebSocket = require("ws");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const query = `subscription($user: ID!) { progressUpdated(userId: $user, after: 0) { summary { reviews } } }`;

const clients = {
  "graphql-ws": () =>
    ws.createClient({ url: `${url.replace("http", "ws")}/graphql`, webSocketImpl: WebSocket, lazy: true }),
  "graphql-sse, distinct": () => sse.createClient({ url: `${url}/graphql/stream` }),
  "graphql-sse, single": () => sse.createClient({ url: `${url}/graphql/stream`, singleConnection: true, retryAttempts: 0 }),
};

const say = (client, told) => console.log(JSON.stringify({ client, ...told }));

for (const [name, create] of Object.entries(clients)) {
  await lines.next();
  const client = create();
  const once = await new Promise((resolve, reject) => {
    let answer;
    const sink = { next: (value) => (answer = value), error: reject, complete: () => resolve(answer) };
    client.subscribe({ query: "{ __typename }" }, sink);
  });
  say(name, { answer: once.data.__typename });
  let told = 0;
  await new Promise((resolve, reject) => {
    const sink = {
      next: (value) => {
        say(name, value.data.progressUpdated.summary);
        if (++told === 2) stop();
      },
      error: reject,
      complete: resolve,
    };
    const stop = client.subscribe({ query, variables: { user: learner } }, sink);
  });
  const refused = await new Promise((resolve) => {
    let answer;
    const sink = { next: (value) => (answer = value), error: resolve, complete: () => resolve(answer) };
    client.subscribe({ query: "{ nothing }" }, sink);
  });
  say(name, { refused: JSON.stringify(refused?.errors ?? refused?.message ?? refused).match(/nothing|400/) !== null });
  client.dispose();
}
process.exit(0);
