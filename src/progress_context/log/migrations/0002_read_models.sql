-- The engine's own books, and the schema that holds the read models.

CREATE SCHEMA engine;
CREATE SCHEMA read;

-- Every version of every read model that has a table; at most one of a name is active.
CREATE TABLE engine.versions (
  version_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  read_model  text        NOT NULL,
  fingerprint text        NOT NULL,
  table_name  text        NOT NULL UNIQUE,
  status      text        NOT NULL CHECK (status IN ('building', 'active', 'retired')),
  created_at  timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz,
  stopped_at   bigint                          -- the position a retired version came to
);
CREATE UNIQUE INDEX one_active_version ON engine.versions (read_model) WHERE status = 'active';

-- How far a version has folded the log; rows and checkpoint change in the same commit. A retired version
-- has none, so whoever still maintains it finds out at once.
CREATE TABLE engine.checkpoints (
  version_id bigint      NOT NULL REFERENCES engine.versions ON DELETE CASCADE,
  shard      integer     NOT NULL DEFAULT 0,
  position   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (version_id, shard)
) WITH (fillfactor = 10);

-- A value with the moment it became true: the greatest stamp is the last word, the least the first.
-- Arrays compare by element, so `max` is "last by occurred_at, then position" and `min` is "first".
CREATE FUNCTION read.stamp(occurred_at timestamptz, "position" bigint, value double precision)
RETURNS double precision[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN ARRAY[date_part('epoch', occurred_at), "position"::double precision, value];

CREATE FUNCTION read.stamp(occurred_at timestamptz, "position" bigint, value jsonb)
RETURNS jsonb[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN ARRAY[to_jsonb(date_part('epoch', occurred_at)), to_jsonb("position"), value];

-- Dates and times inside a stamp: days and seconds since 1970-01-01.
CREATE FUNCTION read.day_number(day date) RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE RETURN (day - DATE '1970-01-01')::double precision;

CREATE FUNCTION read.day_of(stamp double precision[]) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE RETURN DATE '1970-01-01' + stamp[3]::integer;

CREATE FUNCTION read.time_of(stamp double precision[]) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE RETURN to_timestamp(stamp[3]);
