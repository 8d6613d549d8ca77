-- Snapshots: read models as they were at one position. They shorten rebuilds and questions about the past,
-- and can be thrown away at any time.

CREATE SCHEMA snapshot;

CREATE TABLE engine.snapshots (
  snapshot_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  position    bigint      NOT NULL,
  taken_at    timestamptz NOT NULL DEFAULT now(),
  parked      bigint[]    NOT NULL   -- learners who were put aside then: their rows are older than the position
);

-- One copied table per read model. The checksum is a sum over the rows, so their order does not matter.
CREATE TABLE engine.snapshot_tables (
  snapshot_id bigint      NOT NULL REFERENCES engine.snapshots ON DELETE CASCADE,
  read_model  text        NOT NULL,
  fingerprint text        NOT NULL,
  table_name  text        NOT NULL UNIQUE,
  row_count   bigint      NOT NULL,
  checksum    numeric     NOT NULL,
  damaged_at  timestamptz,           -- when rows or checksum were found to differ
  PRIMARY KEY (snapshot_id, read_model)
);

-- The vocabulary is the same for every learner; what it was at a past moment is found without scanning the log.
CREATE INDEX events_of_nobody ON log.events (position) WHERE learner_key IS NULL;

GRANT USAGE, CREATE ON SCHEMA snapshot TO progress_projection;
GRANT USAGE ON SCHEMA snapshot TO progress_query;
GRANT SELECT, INSERT, UPDATE, DELETE ON engine.snapshots, engine.snapshot_tables TO progress_projection;
GRANT SELECT ON engine.snapshots, engine.snapshot_tables TO progress_query;
GRANT SELECT ON log.events, log.voids TO progress_query;
ALTER DEFAULT PRIVILEGES FOR ROLE progress_projection IN SCHEMA snapshot GRANT SELECT ON TABLES TO progress_query;
