// Prints the result of every GraphQL-over-HTTP audit of npm's graphql-http, as JSON.
import { createRequire } from "node:module";
const [, , modules, url] = process.argv;
const { serverAudits } = createRequire(`${modules}/package.json`)("graphql-http");
const results = [];
for (const audit of serverAudits({ url })) {
  const { id, name, status, reason } = await audit.fn();
  results.push({ id, name, status, reason });
}
console.log(JSON.stringify(results));
