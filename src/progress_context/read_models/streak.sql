-- name:   streak
-- about:  Consecutive active learning days: the run that is alive today, and the longest ever.
-- kind:   view
-- grain:  learner_key
-- update: lazy
SELECT learner_key,
       coalesce((array_agg(days ORDER BY last_day DESC) FILTER (WHERE last_day >= asked.today - 1))[1], 0) AS current,
       max(days) AS longest,
       max(last_day) AS last_active_day,
       min(first_day) AS first_active_day,
       sum(days)::int AS total_active_days,
       bool_or(last_day >= asked.today - 1) AS alive,
       bool_or(first_day <= asked.today AND last_day >= asked.today) AS active_today,
       sum(freezes_used)::int AS freezes_used
FROM   streak_runs
CROSS  JOIN asked
GROUP  BY learner_key
