-- Versions remember what they were made from; versions that are made together change places together.

-- Read models that do not know their definition are computed anew when the projection service starts.
DO $$
DECLARE
  version engine.versions;
BEGIN
  FOR version IN SELECT * FROM engine.versions LOOP
    EXECUTE format('DROP VIEW IF EXISTS read.%I', version.read_model);
    EXECUTE format('DROP TABLE IF EXISTS read.%I', version.table_name);
  END LOOP;
  DELETE FROM engine.versions;
END $$;

-- One row for every set of versions that took, or is to take, the place of another.
CREATE TABLE engine.builds (
  build_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind           text        NOT NULL CHECK (kind IN ('rebuild', 'rollback')),
  upto           bigint      NOT NULL,                -- tables are filled with events up to here, then catch up
  base_position  bigint,                              -- of the snapshot that the filling begins with
  last_learner   bigint      NOT NULL,                -- no greater learner_key has an event up to there
  chunk_learners bigint      NOT NULL,                -- chunk n: this many keys; chunk 0: events of nobody
  filled         boolean     NOT NULL DEFAULT false,
  left_out       bigint[]    NOT NULL DEFAULT '{}',   -- learners who were parked in a page; 0: an event of nobody
  token          bigint      NOT NULL DEFAULT 1,      -- raised when another process takes over
  beat_at        timestamptz NOT NULL DEFAULT clock_timestamp(),   -- last sign of life of the process at work
  started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  activated_at   timestamptz,
  swapped_at     bigint                               -- the position at which its versions became active
);

-- Chunks that are done: noted in the commit that holds their rows.
CREATE TABLE engine.build_chunks (
  build_id bigint  NOT NULL REFERENCES engine.builds ON DELETE CASCADE,
  chunk    integer NOT NULL,
  events   bigint  NOT NULL,
  PRIMARY KEY (build_id, chunk)
);

ALTER TABLE engine.versions
  ADD COLUMN definition  text   NOT NULL,             -- the whole file, so that any process can maintain it
  ADD COLUMN policy      jsonb,                       -- the choices it was made under, where it reads them
  ADD COLUMN build_id    bigint NOT NULL REFERENCES engine.builds,   -- which made it active last, or will
  ADD COLUMN replaced_by bigint REFERENCES engine.builds,            -- which retired it
  ADD COLUMN left_out    bigint[];                    -- as in builds, when it retired

GRANT SELECT, INSERT, UPDATE, DELETE ON engine.builds, engine.build_chunks TO progress_projection;
GRANT SELECT ON engine.builds, engine.build_chunks TO progress_query;
