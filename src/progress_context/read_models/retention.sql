-- name:   retention
-- about:  What was remembered after a day or more: reviews passed, by how long the item had rested.
-- kind:   fold
-- grain:  learner_key, learning_day
-- update: realtime
WITH rested AS (
  SELECT learner_key, learning_day,
         (data->'is_correct' = 'true')::int AS passed,
         CASE WHEN type = 'algorithm.ReviewRecorded' THEN (data->>'previous_interval_days')::numeric END AS days
  FROM   events
  WHERE  type = 'algorithm.ReviewRecorded'
)
SELECT learner_key,
       learning_day,
       count(*) FILTER (WHERE days < 21) AS young_reviews,
       sum(passed) FILTER (WHERE days < 21) AS young_passed,
       count(*) FILTER (WHERE days >= 21) AS mature_reviews,
       sum(passed) FILTER (WHERE days >= 21) AS mature_passed
FROM   rested
WHERE  days >= 1
GROUP  BY learner_key, learning_day
