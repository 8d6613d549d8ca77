-- Traces of the events behind position $1, up to $2; at most $3, of the first 1,000 events.
SELECT DISTINCT context ->> 'traceparent' AS traceparent
  FROM (SELECT context FROM log.events WHERE position > $1 AND position <= least($2, $1 + 1000) ORDER BY position) AS event
 WHERE context ->> 'traceparent' IS NOT NULL
 LIMIT $3
