-- Sharing the projection work: who maintains what, what is put aside, and how each version is kept.

ALTER TABLE engine.versions ADD COLUMN update_mode text NOT NULL DEFAULT 'realtime'
  CHECK (update_mode IN ('realtime', 'batch'));

-- Where a retired version stopped, by shard: a rollback goes on from there.
ALTER TABLE engine.versions ALTER COLUMN stopped_at TYPE bigint[] USING ARRAY[stopped_at];

-- One row per piece of work that one process at a time may do. Whoever takes it raises the token, and every
-- commit checks the token: a holder that lost its lease without noticing can change nothing.
CREATE TABLE engine.leases (
  name       text        PRIMARY KEY,
  holder     text,
  token      bigint      NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity'
);

-- The projection processes that are alive; the shards are divided evenly among them.
CREATE TABLE engine.workers (
  worker  text        PRIMARY KEY,
  seen_at timestamptz NOT NULL
);

-- Events that no read model could take. Their learner is left out of live work until `parked retry`.
CREATE TABLE engine.parked (
  position    bigint      PRIMARY KEY,
  learner_key bigint      UNIQUE,
  type        text        NOT NULL,
  reason      text        NOT NULL,
  attempts    integer     NOT NULL DEFAULT 1,
  parked_at   timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON engine.leases, engine.workers, engine.parked TO progress_projection;
GRANT SELECT ON engine.leases, engine.workers, engine.parked TO progress_query;
