// Project with Emmett: its consumer keeps daily statistics in PostgreSQL, one statement per batch,
// or the append itself does (inline); then they may be rebuilt.
import {
  getPostgreSQLEventStore,
  postgreSQLRawBatchSQLProjection,
  rebuildPostgreSQLProjections,
} from '@event-driven-io/emmett-postgresql';
import { rawSql, sql } from '@event-driven-io/dumbo';
import { projections } from '@event-driven-io/emmett';
import { readFileSync } from 'node:fs';
import pg from 'pg';

const task = JSON.parse(process.argv[2]);

const CREATE = `
  CREATE TABLE IF NOT EXISTS daily_stats (
    learner text, day date, reviews bigint NOT NULL, correct bigint NOT NULL, activities bigint NOT NULL,
    PRIMARY KEY (learner, day))`;

// Sums a batch first, so that each row is written once a batch.
const summed = (events) => {
  const rows = new Map();
  for (const { data } of events) {
    const key = `${data.learner} ${data.day}`;
    const row = rows.get(key) ?? { learner: data.learner, day: data.day, reviews: 0, correct: 0, activities: 0 };
    row.reviews += data.reviews;
    row.correct += data.correct;
    row.activities += data.activities;
    rows.set(key, row);
  }
  return [...rows.values()];
};

const keepDays = postgreSQLRawBatchSQLProjection({
  name: 'daily_stats',
  canHandle: ['Happened'],
  init: () => rawSql(CREATE),
  evolve: (events) => [
    sql(
      `INSERT INTO daily_stats AS stored
       SELECT * FROM json_to_recordset(%L::json)
         AS added (learner text, day date, reviews bigint, correct bigint, activities bigint)
       ON CONFLICT (learner, day) DO UPDATE
       SET reviews = stored.reviews + EXCLUDED.reviews, correct = stored.correct + EXCLUDED.correct,
           activities = stored.activities + EXCLUDED.activities`,
      JSON.stringify(summed(events)),
    ),
  ],
});
const dailyStats = { ...keepDays, truncate: ({ execute }) => execute.command(rawSql('TRUNCATE daily_stats')) };

const appendAll = async (store, events, perCall) => {
  for (let start = 0, stream = 1; start < events.length; start += perCall, stream++)
    await store.appendToStream(`learner-${stream}`, events.slice(start, start + perCall));
};

const timed = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const events = readFileSync(task.file, 'utf8')
  .split('\n', task.events)
  .map((line) => ({ type: 'Happened', data: JSON.parse(line) }));
const pool = new pg.Pool({ connectionString: task.url, max: 8 });
const store = getPostgreSQLEventStore(task.url, {
  connectionOptions: { pool },
  projections: task.inline ? projections.inline([dailyStats]) : [],
});
await store.schema.migrate();

const consume = async () => {
  const consumer = store.consumer({ pulling: { batchSize: task.batch }, stopWhen: { noMessagesLeft: true } });
  consumer.projector({ projection: dailyStats });
  await consumer.start();
};

// The default pause of 50 ms between two batches is taken out.
const rebuild = async () => {
  const pulling = { batchSize: task.batch, pullingFrequencyInMs: 0 };
  const consumer = rebuildPostgreSQLProjections({ connectionString: task.url, pulling, projections: [dailyStats] });
  await consumer.start();
  await consumer.close();
};

let seconds;
if (task.inline) {
  seconds = await timed(() => appendAll(store, events, task.per_call));
} else {
  await appendAll(store, events, 100);
  seconds = await timed(consume);
}
if (task.rebuild) seconds = await timed(rebuild);
await store.close();
await pool.end();
console.log(JSON.stringify({ seconds }));
process.exit(0);
