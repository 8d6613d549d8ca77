-- The latest events of a type ($3) before a position ($1), at most $2.
SELECT position, event.source, event.id, type, version, learner_id, occurred_at, learning_day, recorded_at,
       data::text, context::text, context ->> 'traceparent' AS traceparent,
       EXISTS (SELECT FROM log.voids AS void WHERE void.learner_key = event.learner_key
                  AND void.source = event.source AND void.id = event.id) AS voided
  FROM log.events AS event
  LEFT JOIN log.learners USING (learner_key)
 WHERE type = $3 AND position < $1
 ORDER BY position DESC
 LIMIT $2
