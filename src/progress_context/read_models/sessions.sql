-- name:   sessions
-- about:  One learning session: when it began and ended, what it held, and the time really spent in it.
-- kind:   fold
-- grain:  learner_key, session_id
-- update: realtime
-- merge:  started_at min, first_event_at min, last_event_at max, completion first, abandonment first,
--         sent_seconds first, active union
SELECT learner_key,
       data->>'session_id' AS session_id,
       min(occurred_at) FILTER (WHERE type = 'learning.SessionStarted') AS started_at,
       min(occurred_at) AS first_event_at,
       max(occurred_at) AS last_event_at,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged') AS reviews,
       min(stamp(occurred_at, position, day_number(learning_day)))
         FILTER (WHERE type = 'learning.SessionCompleted') AS completion,
       min(stamp(occurred_at, position, day_number(learning_day)))
         FILTER (WHERE type = 'learning.SessionAbandoned') AS abandonment,
       min(stamp(occurred_at, position, (data->>'duration_seconds')::float8))
         FILTER (WHERE type = 'learning.SessionCompleted' AND data->>'duration_seconds' IS NOT NULL) AS sent_seconds,
       range_agg(tstzrange(occurred_at, occurred_at + idle_gap)) AS active
FROM   events CROSS JOIN policy
WHERE  type IN ('learning.SessionStarted', 'learning.CorrectnessJudged', 'learning.SessionCompleted',
                'learning.SessionAbandoned')
  AND  data->>'session_id' IS NOT NULL
GROUP  BY learner_key, session_id
