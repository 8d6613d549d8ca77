-- Moves the checkpoint from $1 to $2 and folds what lies between. When the checkpoint is not at $1 any
-- more, nothing is read and nothing is written: `moved` tells.
WITH "checkpoint" AS (
  UPDATE engine.checkpoints
     SET position = $2, updated_at = clock_timestamp()
   WHERE version_id = ANY ($3::bigint[]) AND shard = 0 AND position = $1
  RETURNING version_id
),
"new.events" AS MATERIALIZED (
  SELECT * FROM (:events) AS event
   WHERE (SELECT count(*) FROM "checkpoint") = cardinality($3::bigint[])
),
:models
SELECT (SELECT count(*) FROM "checkpoint") = cardinality($3::bigint[]) AS moved,
       (SELECT array_agg(DISTINCT learner_key) FROM "new.events" WHERE learner_key IS NOT NULL) AS learners,
       :changed AS changed,
       (SELECT array_agg(DISTINCT void.learner_key)
          FROM log.voids AS void
          JOIN log.events AS event USING (source, id, learner_key)
         WHERE void.position > $1 AND void.position <= $2 AND event.position <= $1) AS voided
