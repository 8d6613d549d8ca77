-- Committed events behind position $1, in order, with the public ids of their learners: at most $2 of them, and
-- with about $3 bytes of data, but at least one.
SELECT event.position, event.source, event.id, event.type, event.learner_key, learner.learner_id AS subject,
       event.occurred_at, event.recorded_at, event.data, event.context
  FROM (SELECT *, sum(pg_column_size(data)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) AS bytes
          FROM log.events
         WHERE position > $1
         ORDER BY position
         LIMIT $2) AS event
  LEFT JOIN log.learners AS learner USING (learner_key)
 WHERE event.bytes <= $3 OR event.position = $1 + 1
 ORDER BY event.position
