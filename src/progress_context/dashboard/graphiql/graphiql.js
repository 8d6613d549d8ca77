// GraphiQL on this service, at first with an example that has something to show.
// React, ReactDOM and GraphiQL are globals: classic scripts that ran before this module.

const ENDPOINT = "graphql";
const EXAMPLE_LEARNER = "learner-00001";
const EXAMPLE_DAYS = 3;

const EXAMPLE = `# How is a learner doing? Ctrl-Enter asks.
# Learner and days stand below, in Variables;
# { learners { userId } } names more learners.
query Progress($userId: ID!, $days: DateRange!) {
  learningStreak(userId: $userId) {
    current
    longest
    lastActiveDay
  }
  dailyStats(userId: $userId, dateRange: $days) {
    date
    reviews
    accuracy
    newItems
    studyTime {
      seconds
    }
  }
}
`;

const NEW_TAB = `# Ctrl-Space: what fits here
# Ctrl-K: search the documentation
`;

/** The latest active learner and their latest active day; the sample's first learner when nobody may be listed. */
async function findExample() {
  const today = new Date().toISOString().slice(0, 10);
  try {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "{ learners { userId lastActiveDay } }" }),
      signal: AbortSignal.timeout(2000),
    });
    const [{ userId, lastActiveDay }] = (await response.json()).data.learners;
    return { userId, lastDay: lastActiveDay ?? today };
  } catch {
    return { userId: EXAMPLE_LEARNER, lastDay: today };
  }
}

/** The example's variables, as text: the last days up to `lastDay`. */
function variablesOf({ userId, lastDay }) {
  const first = new Date(lastDay);
  first.setUTCDate(first.getUTCDate() - EXAMPLE_DAYS + 1);
  const days = { from: first.toISOString().slice(0, 10), to: lastDay };
  return JSON.stringify({ userId, days }, null, 2);
}

/** Put the example where GraphiQL keeps what was typed last, unless it was open here before. */
async function offerExample() {
  if (localStorage.getItem("graphiql:tabState")) return;
  localStorage.setItem("graphiql:variables", variablesOf(await findExample()));
  localStorage.setItem("graphiql:query", EXAMPLE);
}

/** The theme chosen on the dashboard, which GraphiQL's own setting overrides; null follows the system. */
function dashboardTheme() {
  const chosen = localStorage.getItem("theme");
  return chosen === "light" || chosen === "dark" ? chosen : null;
}

// GraphiQL's menus and dialogs insert a <style> that locks the page's scrolling. The content policy forbids
// it, and this page never scrolls: they get an element that does nothing instead.
const createElement = document.createElement.bind(document);
document.createElement = (name, options) => createElement(name === "style" ? "template" : name, options);

await offerExample();
const graphiql = React.createElement(GraphiQL, {
  fetcher: GraphiQL.createFetcher({ url: ENDPOINT, enableIncrementalDelivery: false }),
  defaultQuery: NEW_TAB,
  defaultEditorToolsVisibility: "variables",
  defaultTheme: dashboardTheme(),
});
ReactDOM.createRoot(document.getElementById("graphiql")).render(graphiql);
