-- name:   active_days
-- about:  The learning days with at least one review, completed session or activity.
-- kind:   rollup
-- grain:  learner_key, learning_day
-- update: realtime
SELECT learner_key,
       learning_day,
       sum(weight) AS row_count
FROM   daily_stats
WHERE  reviews + sessions + activities > 0
GROUP  BY learner_key, learning_day
