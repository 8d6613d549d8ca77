-- Binary search: `low` was recorded in time, `high` was not (or lies behind the end).
WITH RECURSIVE search (low, high) AS (
  SELECT 0::bigint, position + 1 FROM log.head
  UNION ALL
  SELECT CASE WHEN in_time THEN middle ELSE low END,
         CASE WHEN in_time THEN high ELSE middle END
    FROM search
    CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle) AS cut
    CROSS JOIN LATERAL (SELECT recorded_at <= $1 AS in_time FROM log.events WHERE position = middle) AS probe
   WHERE high - low > 1
)
SELECT max(low) FROM search
