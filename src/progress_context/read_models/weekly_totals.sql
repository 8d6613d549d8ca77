-- name:   weekly_totals
-- about:  What a learner did in each ISO week, as sums; the step behind WeeklyStats.
-- kind:   rollup
-- grain:  learner_key, week
-- update: batch
SELECT learner_key,
       learning_day - (extract(isodow FROM learning_day)::int - 1) AS week,
       sum(weight) AS row_count,
       sum(weight * (reviews + sessions + activities > 0)::int) AS active_days,
       sum(weight * sessions) AS sessions,
       sum(weight * reviews) AS reviews,
       sum(weight * correct) AS correct,
       sum(weight * new_items) AS new_items,
       sum(weight * items_mastered) AS items_mastered,
       sum(weight * activities) AS activities,
       sum(weight * study_ms) AS study_ms
FROM   daily_stats
GROUP  BY learner_key, week
