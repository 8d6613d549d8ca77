-- The latest events before a position ($1), at most $2.
SELECT position, event.source, event.id, type, version, learner_id, occurred_at, learning_day, recorded_at,
       data::text, context::text, context ->> 'traceparent' AS traceparent,
       EXISTS (SELECT FROM log.voids AS void WHERE void.learner_key = event.learner_key
                  AND void.source = event.source AND void.id = event.id) AS voided
  FROM log.events AS event
  LEFT JOIN log.learners USING (learner_key)
 WHERE position < $1
 ORDER BY position DESC
 LIMIT $2
