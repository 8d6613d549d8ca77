// GraphiQL on this service, with an example that has something to show.
// React, ReactDOM and GraphiQL are globals: classic scripts that ran before this module.

const ENDPOINT = "graphql";
const EXAMPLE_LEARNER = "learner-00001";
const EXAMPLE_DAYS = 7;

const EXAMPLE = `# How is a learner doing? Ctrl-Enter asks.
# Learner and days stand below, in Variables.
query Progress($userId: ID!, $days: DateRange!) {
  learningStreak(userId: $userId, calendar: $days) {
    current
    longest
    activeToday
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

# Who is there?
query Learners {
  learners(first: 10) {
    userId
    lastActiveDay
    totalActiveDays
  }
}
`;

const NEW_TAB = `# Ctrl-Space lists what fits here; the book on the left explains it.
`;

/** The learner who was active last and that day; the sample's first learner and today, where nobody may be listed. */
async function findExample() {
  const query = "{ learners(first: 1) { userId lastActiveDay } }";
  const today = new Date().toISOString().slice(0, 10);
  try {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
      signal: AbortSignal.timeout(2000),
    });
    const [learner] = (await response.json()).data.learners;
    return { userId: learner.userId, lastDay: learner.lastActiveDay ?? today };
  } catch {
    return { userId: EXAMPLE_LEARNER, lastDay: today };
  }
}

function variablesOf({ userId, lastDay }) {
  const first = new Date(lastDay);
  first.setUTCDate(first.getUTCDate() - EXAMPLE_DAYS + 1);
  const days = { from: first.toISOString().slice(0, 10), to: lastDay };
  return JSON.stringify({ userId, days }, null, 2);
}

/** The theme chosen on the dashboard, which GraphiQL's own setting overrides; null follows the system. */
function dashboardTheme() {
  const chosen = localStorage.getItem("theme");
  return chosen === "light" || chosen === "dark" ? chosen : null;
}

// GraphiQL's dialogs add a <style> that locks the page's scrolling. The content policy forbids inline
// styles and this page does not scroll: with this property the library leaves the element empty.
HTMLStyleElement.prototype.styleSheet = {};

const variables = variablesOf(await findExample());
const graphiql = React.createElement(GraphiQL, {
  fetcher: GraphiQL.createFetcher({ url: ENDPOINT, enableIncrementalDelivery: false }),
  defaultTabs: [{ query: EXAMPLE, variables }],
  defaultQuery: NEW_TAB,
  defaultEditorToolsVisibility: "variables",
  defaultTheme: dashboardTheme(),
});
ReactDOM.createRoot(document.getElementById("graphiql")).render(graphiql);
