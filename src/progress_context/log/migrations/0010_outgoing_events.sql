-- Events of our own: what this service tells the world, and how far it has told it.

CREATE SCHEMA IF NOT EXISTS ops;
GRANT USAGE ON SCHEMA ops TO progress_projection;

-- One row: the log has been looked through for news up to here. What was received before is no news.
CREATE TABLE ops.news (
  single   boolean PRIMARY KEY DEFAULT true CHECK (single),
  position bigint  NOT NULL
);
INSERT INTO ops.news (position) SELECT position FROM log.head;

-- What was told of a learner last: the length of the streak and the last active day it counted (null: nothing yet);
-- and the sums that milestones hang on, as they stood when the learner's milestones were looked through.
CREATE TABLE ops.told (
  learner_key bigint  PRIMARY KEY,
  streak      integer,
  last_day    date,
  standing    text    NOT NULL
);

-- Append events under our own name, column by column, in order; ids must be distinct. One row for each: its
-- position, and whether it was stored now; an id that the log has stays as it is, whatever it holds.
-- Whoever may call this can append nothing else. The learning day is the day an event is about.
CREATE FUNCTION log.append_own(
  ids text[], types text[], learner_keys bigint[], occurred timestamptz[], days date[], payloads text[])
RETURNS TABLE (id text, "position" bigint, stored boolean)
LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
DECLARE
  size     int[] := ARRAY[cardinality(ids)];
  appended record;
BEGIN
  IF EXISTS (SELECT FROM unnest(types) AS type WHERE type NOT LIKE 'progress.%') THEN
    RAISE EXCEPTION 'only events of type progress.* are our own, not %', types
      USING ERRCODE = 'PC003', HINT = 'other contexts send theirs to progress-command-service';
  END IF;
  SELECT * INTO appended FROM log.append(
    9223372036854775807, clock_timestamp(), array_fill('progress-context'::text, size), ids, types,
    array_fill(1, size), learner_keys, occurred, days, payloads, array_fill(NULL::text, size));
  RETURN QUERY
    SELECT sent.id,
           coalesce(known.position, appended.first_position - 1 + count(*) FILTER (WHERE known.position IS NULL)
                                      OVER (ORDER BY sent.number)),
           known.position IS NULL
      FROM unnest(ids) WITH ORDINALITY AS sent (id, number)
      LEFT JOIN unnest(appended.known_numbers, appended.known_positions) AS known (number, position) USING (number)
     ORDER BY sent.number;
END $$;

REVOKE EXECUTE ON FUNCTION log.append_own FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log.append_own TO progress_projection;
GRANT SELECT, UPDATE ON ops.news TO progress_projection;
GRANT SELECT, INSERT, UPDATE ON ops.told TO progress_projection;
