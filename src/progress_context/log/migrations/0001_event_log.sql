-- The event log. Its promises are kept here, in the database, whoever the client is:
-- append-only, contiguous positions that become visible in order, one event per name.

CREATE SCHEMA log;

-- One row. Whoever holds it appends next, so commits happen in the order of positions.
CREATE TABLE log.head (
  single           boolean     PRIMARY KEY DEFAULT true CHECK (single),
  position         bigint      NOT NULL DEFAULT 0,
  recorded_at      timestamptz NOT NULL DEFAULT '-infinity',
  profile_position bigint      NOT NULL DEFAULT 0   -- the newest position that changed a learner profile
);
INSERT INTO log.head DEFAULT VALUES;

-- The only place where a public learner id is kept.
CREATE TABLE log.learners (
  learner_key bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  learner_id  text        NOT NULL UNIQUE,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE log.events (
  position     bigint      PRIMARY KEY CHECK (position > 0),
  source       text        NOT NULL,
  id           text        NOT NULL,
  type         text        NOT NULL,
  version      integer     NOT NULL,
  learner_key  bigint,
  occurred_at  timestamptz NOT NULL,
  learning_day date,
  recorded_at  timestamptz NOT NULL,
  data         jsonb       NOT NULL,
  context      jsonb,
  UNIQUE (source, id),
  CHECK ((learner_key IS NULL) = (learning_day IS NULL))
);
CREATE INDEX events_by_learner     ON log.events (learner_key, position) WHERE learner_key IS NOT NULL;
CREATE INDEX events_by_type        ON log.events (type, position);

-- Inserts must continue the log without a gap; then the counter row follows, in the same commit.
-- Positions up to the counter exist all (so an insert there breaks the primary key); what lies behind it
-- can only be what this transaction inserted.
CREATE FUNCTION log.continue_log() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  head     log.head;
  appended record;
BEGIN
  SELECT * INTO head FROM log.head FOR UPDATE;
  SELECT count(*) AS events, max(position) AS last, min(recorded_at) AS earliest, max(recorded_at) AS latest
    INTO appended FROM log.events WHERE position > head.position;
  IF appended.events = 0 THEN
    RETURN NULL;
  END IF;
  IF appended.last - head.position <> appended.events OR appended.earliest < head.recorded_at THEN
    RAISE EXCEPTION 'positions up to % do not continue the log after position %', appended.last, head.position
      USING ERRCODE = 'PC001', HINT = 'lock log.head, then append from its position + 1, never back in time';
  END IF;
  UPDATE log.head SET position = appended.last, recorded_at = appended.latest;
  RETURN NULL;
END $$;

CREATE TRIGGER continue_log AFTER INSERT ON log.events
  FOR EACH STATEMENT EXECUTE FUNCTION log.continue_log();

CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'log.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'PC002', HINT = 'to correct an event, append learning.EventVoided';
END $$;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();

-- What user.* events said about a learner's calendar, each from its own moment on.
CREATE TABLE log.profiles (
  learner_key   bigint      NOT NULL REFERENCES log.learners,
  position      bigint      NOT NULL,
  effective_at  timestamptz NOT NULL,
  time_zone     text,
  rollover_hour integer     CHECK (rollover_hour BETWEEN 0 AND 23),
  PRIMARY KEY (learner_key, position)
);
CREATE INDEX profiles_by_position ON log.profiles (position);

-- Which events learning.EventVoided names; the first to name an event counts.
CREATE TABLE log.voids (
  learner_key bigint NOT NULL,
  source      text   NOT NULL,
  id          text   NOT NULL,
  position    bigint NOT NULL,
  PRIMARY KEY (learner_key, source, id)
);
CREATE INDEX voids_by_position ON log.voids (position);

-- Types nobody described: stored, counted, feeding no read model.
CREATE TABLE log.unknown_types (
  type          text   NOT NULL,
  version       integer NOT NULL,
  events        bigint NOT NULL,
  last_position bigint NOT NULL,
  PRIMARY KEY (type, version)
);
