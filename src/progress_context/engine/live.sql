-- Moves the checkpoint from $1 to $2 and folds what lies between. When the checkpoint is not at $1 any more,
-- or the lease was taken by another ($4 is its token, null without a lease), nothing is read and nothing is
-- written: `moved` tells. Learners with a parked event are left out.
WITH "checkpoint" AS (
  UPDATE engine.checkpoints
     SET position = $2, updated_at = clock_timestamp()
   WHERE version_id = ANY ($3::bigint[]) AND shard = :shard AND position = $1
     AND ($4::bigint IS NULL OR EXISTS (SELECT FROM engine.leases WHERE name = :lease AND token = $4))
  RETURNING version_id
),
"new.events" AS MATERIALIZED (
  SELECT * FROM (:events) AS event
   WHERE (SELECT count(*) FROM "checkpoint") = cardinality($3::bigint[])
     AND (event.learner_key IS NULL
          OR event.learner_key <> ALL (ARRAY (SELECT learner_key FROM engine.parked WHERE learner_key IS NOT NULL)))
     AND event.position <> ALL (ARRAY (SELECT position FROM engine.parked WHERE learner_key IS NULL))
),
:models
SELECT (SELECT count(*) FROM "checkpoint") = cardinality($3::bigint[]) AS moved,
       (SELECT array_agg(DISTINCT learner_key) FROM "new.events" WHERE learner_key IS NOT NULL) AS learners,
       :changed AS changed,
       :shared AS shared,
       least($2, (SELECT min(other.position)
                    FROM engine.checkpoints AS other
                    JOIN engine.versions AS version USING (version_id)
                   WHERE version.status = 'active' AND version.update_mode = 'realtime'
                     AND NOT (other.version_id = ANY ($3::bigint[]) AND other.shard = :shard))) AS visible,
       (SELECT array_agg(DISTINCT void.learner_key)
          FROM log.voids AS void
          JOIN log.events AS event USING (source, id, learner_key)
         WHERE void.position > $1 AND void.position <= $2 AND event.position <= $1 AND :in_shard
           AND NOT EXISTS (SELECT FROM engine.parked WHERE parked.learner_key = void.learner_key)) AS voided
