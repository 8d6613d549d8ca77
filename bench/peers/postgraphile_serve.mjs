// Serve a schema of a database with PostGraphile: one process, one pool, nothing that a browser would need.
import { createServer } from 'node:http';
import { grafserv } from 'postgraphile/grafserv/node';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { addPgTableCondition } from 'postgraphile/utils';

const task = JSON.parse(process.argv[2]);

// PostGraphile filters by equality; a range of days is a condition of our own, as its documentation shows.
const dayCondition = (name, compare) =>
  addPgTableCondition(
    { schemaName: task.schema, tableName: 'daily_stats' },
    name,
    (build) => ({ type: build.getInputTypeByName('Date') }),
    (value, { sql, sqlTableAlias, sqlValueWithCodec, build }) => {
      const day = sqlValueWithCodec(value, build.dataplanPg.TYPES.date);
      return compare(sql, sql`${sqlTableAlias}.date`, day);
    },
  );

// The server's settings for each connection, such as `-c plan_cache_mode=…`.
const options = Object.entries(task.settings).map(([name, value]) => `-c ${name}=${value}`).join(' ');

const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [
    dayCondition('dayFrom', (sql, date, day) => sql`${date} >= ${day}`),
    dayCondition('dayTo', (sql, date, day) => sql`${date} <= ${day}`),
  ],
  schema: { defaultBehavior: '-connection +list' },
  pgServices: [
    makePgService({ connectionString: task.url, schemas: [task.schema], poolConfig: { max: task.connections, options } }),
  ],
  grafast: { explain: false },
  grafserv: { graphiql: false, websockets: false, watch: false, outputDataAsString: true },
};

const instance = postgraphile(preset);
const server = createServer();
await instance.createServ(grafserv).addTo(server);
await instance.getSchema();
server.listen(task.port, '127.0.0.1');

process.once('SIGINT', () => {
  server.close(() => instance.release().then(() => process.exit(0)));
  server.closeAllConnections();
});
