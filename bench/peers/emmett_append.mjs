// Append with Emmett: `concurrency` workers, each with streams of its own, some events per call.
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import { readFileSync } from 'node:fs';
import pg from 'pg';

const task = JSON.parse(process.argv[2]);

const readEvents = () =>
  readFileSync(task.file, 'utf8')
    .split('\n', task.warm_up + task.events)
    .map((line) => ({ type: 'CorrectnessJudged', data: JSON.parse(line) }));

const chunksOf = (events) => {
  const chunks = [];
  for (let start = 0; start < events.length; start += task.per_call)
    chunks.push(events.slice(start, start + task.per_call));
  return chunks;
};

// A worker's streams are nobody else's, so that no append fails for a lost race.
const streamOf = (worker, number) => {
  const each = Math.floor(task.learners / task.concurrency);
  return `learner-${worker + task.concurrency * (number % each)}`;
};

const appendAll = async (store, events) => {
  const chunks = chunksOf(events);
  let next = 0;
  const work = async (worker) => {
    for (let number = 0; next < chunks.length; number++)
      await store.appendToStream(streamOf(worker, number), chunks[next++]);
  };
  await Promise.all(Array.from({ length: task.concurrency }, (_, worker) => work(worker)));
};

const pool = new pg.Pool({ connectionString: task.url, max: task.connections });
const store = getPostgreSQLEventStore(task.url, { connectionOptions: { pool } });
await store.schema.migrate();
const events = readEvents();
await appendAll(store, events.slice(0, task.warm_up));
const began = performance.now();
await appendAll(store, events.slice(task.warm_up));
const seconds = (performance.now() - began) / 1000;
await store.close();
await pool.end();
console.log(JSON.stringify({ seconds }));
