-- name:   review_timeliness
-- about:  Reviews of items that had been scheduled, and how many of them came no later than a day after.
-- kind:   fold
-- grain:  learner_key, learning_day
-- update: lazy
WITH steps AS (
  SELECT learner_key, learning_day, occurred_at, type,
         max(CASE type WHEN 'algorithm.ReviewScheduled' THEN
               stamp(occurred_at, position, date_part('epoch', (data->>'next_review_at')::timestamptz)) END)
           OVER (PARTITION BY learner_key, data->>'item_id' ORDER BY occurred_at, position) AS schedule
  FROM   events
  WHERE  type IN ('learning.CorrectnessJudged', 'algorithm.ReviewScheduled')
)
SELECT learner_key,
       learning_day,
       count(*) AS reviews_due,
       count(*) FILTER (WHERE occurred_at <= time_of(schedule) + interval '24 hours') AS reviews_on_time
FROM   steps
WHERE  type = 'learning.CorrectnessJudged'
  AND  schedule IS NOT NULL
GROUP  BY learner_key, learning_day
