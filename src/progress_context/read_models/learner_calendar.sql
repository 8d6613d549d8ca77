-- name:   learner_calendar
-- about:  The last word on where a learner is and when their day begins: from profile and events alike.
-- kind:   fold
-- grain:  learner_key
-- update: realtime
-- merge:  zone last, rollover_hour last
SELECT learner_key,
       max(stamp(occurred_at, position, to_jsonb(coalesce(data->>'time_zone', zone))))
         FILTER (WHERE coalesce(data->>'time_zone', zone) IS NOT NULL) AS zone,
       max(stamp(occurred_at, position, (data->>'day_rollover_hour')::float8))
         FILTER (WHERE type LIKE 'user.%' AND data->>'day_rollover_hour' IS NOT NULL) AS rollover_hour
FROM  (SELECT learner_key, occurred_at, position, type, zone,
              CASE WHEN type LIKE 'user.%' THEN data ELSE '{}' END AS data
       FROM   events) AS said
WHERE  zone IS NOT NULL OR data->>'time_zone' IS NOT NULL OR data->>'day_rollover_hour' IS NOT NULL
GROUP  BY learner_key
