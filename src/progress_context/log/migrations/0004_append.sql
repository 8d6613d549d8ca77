-- Append a group of events in one round trip. Events are given column by column, in order; names must be
-- distinct. New events get the positions after the log's head, in order; `known_*` tell of those that were
-- stored before: their number in the group (from 1), their position, and the attribute in which the stored
-- event differs (null: it is the same event).
--
-- When a learner profile changed after `profiles_known_at`, nothing is written and `first_position` is null:
-- learning days may be wrong, compute them again.
--
-- Plans are kept for the session, so they must not be made for the small table of the first day: no
-- sequential scans. Positions become visible in order because `log.head` stays locked until the commit.
CREATE FUNCTION log.append(
  profiles_known_at bigint, received_at timestamptz,
  sources text[], ids text[], types text[], versions integer[], learner_keys bigint[],
  occurred timestamptz[], learning_days date[], payloads text[], contexts text[],
  OUT profile_position bigint, OUT first_position bigint,
  OUT known_numbers bigint[], OUT known_positions bigint[], OUT known_differs text[])
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off AS $$
DECLARE
  head log.head;
BEGIN
  SELECT * INTO head FROM log.head FOR UPDATE;
  profile_position := head.profile_position;
  IF head.profile_position > profiles_known_at THEN
    RETURN;
  END IF;
  first_position := head.position + 1;

  SELECT array_agg(number ORDER BY number) INTO known_numbers
    FROM unnest(sources, ids) WITH ORDINALITY AS sent (source, id, number)
   CROSS JOIN LATERAL (
         SELECT FROM log.events AS event WHERE event.source = sent.source AND event.id = sent.id OFFSET 0) AS stored;

  IF known_numbers IS NOT NULL THEN
    SELECT array_agg(stored.position ORDER BY number),
           array_agg(CASE
             WHEN stored.type <> sent.type                             THEN 'type'
             WHEN stored.version <> sent.version                       THEN 'version'
             WHEN stored.learner_key IS DISTINCT FROM sent.learner_key THEN 'subject'
             WHEN stored.occurred_at <> sent.occurred_at               THEN 'time'
             WHEN stored.data <> sent.data::jsonb                      THEN 'data'
           END ORDER BY number)
      INTO known_positions, known_differs
      FROM unnest(sources, ids, types, versions, learner_keys, occurred, payloads)
           WITH ORDINALITY AS sent (source, id, type, version, learner_key, occurred_at, data, number)
     CROSS JOIN LATERAL (
           SELECT * FROM log.events AS event WHERE event.source = sent.source AND event.id = sent.id OFFSET 0) AS stored;
    IF cardinality(known_numbers) = cardinality(ids) THEN
      RETURN;
    END IF;
  END IF;

  INSERT INTO log.events (position, source, id, type, version, learner_key, occurred_at, learning_day, recorded_at,
                          data, context)
  SELECT head.position + number - coalesce(width_bucket(number, known_numbers), 0), source, id, type, version,
         learner_key, coalesce(occurred_at, received_at), learning_day, greatest(head.recorded_at, now_here),
         data::jsonb, context::jsonb
    FROM unnest(sources, ids, types, versions, learner_keys, occurred, learning_days, payloads, contexts)
         WITH ORDINALITY AS sent (source, id, type, version, learner_key, occurred_at, learning_day, data, context, number)
   CROSS JOIN (SELECT clock_timestamp() AS now_here OFFSET 0) AS clock
   WHERE known_numbers IS NULL OR number <> ALL (known_numbers);
END $$;

GRANT EXECUTE ON FUNCTION log.append TO progress_command;
