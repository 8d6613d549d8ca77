-- name:   streak_runs
-- about:  Runs of consecutive active days. With grace on, a single missed day between two active days
--         joins its neighbours and uses a freeze, at most one freeze in any 7 days.
-- kind:   view
-- grain:  learner_key, first_day
-- update: realtime
WITH RECURSIVE stretches AS (      -- gapless stretches of active days
  SELECT learner_key, min(learning_day) AS first_day, max(learning_day) AS last_day, count(*) AS days,
         min(learning_day) - lag(max(learning_day)) OVER (PARTITION BY learner_key ORDER BY min(learning_day)) AS step
  FROM  (SELECT learner_key, learning_day,
                learning_day - row_number() OVER (PARTITION BY learner_key ORDER BY learning_day)::int AS island
         FROM   active_days) AS numbered
  GROUP  BY learner_key, island
), missed AS (                     -- single missed days, which a freeze could bridge
  SELECT learner_key, first_day - 1 AS day,
         row_number() OVER of_learner AS number,
         count(*) OVER (of_learner RANGE BETWEEN UNBOUNDED PRECEDING AND '6 days' FOLLOWING) AS last_too_soon,
         first_day - lag(first_day) OVER of_learner < 7 AS near_another
  FROM   stretches
  CROSS  JOIN policy
  WHERE  policy.streak_grace AND step = 2
  WINDOW of_learner AS (PARTITION BY learner_key ORDER BY first_day)
), freezes AS (                    -- those alone in their week for sure, then each that is 7 days from the freeze before
  SELECT learner_key, day, last_too_soon
  FROM   missed
  WHERE  near_another IS NOT TRUE
  UNION ALL
  SELECT next.learner_key, next.day, next.last_too_soon
  FROM   freezes
  JOIN   missed AS next ON next.learner_key = freezes.learner_key AND next.number = freezes.last_too_soon + 1
  WHERE  next.near_another
), in_runs AS (                    -- a stretch that no freeze joins to the one before it begins a run
  SELECT stretches.*,
         count(*) FILTER (WHERE freezes.day IS NULL) OVER (PARTITION BY stretches.learner_key ORDER BY first_day) AS run
  FROM   stretches
  LEFT   JOIN freezes ON freezes.learner_key = stretches.learner_key AND freezes.day = stretches.first_day - 1
)
SELECT learner_key,
       min(first_day) AS first_day,
       max(last_day) AS last_day,
       sum(days)::int AS days,
       (count(*) - 1)::int AS freezes_used
FROM   in_runs
GROUP  BY learner_key, run
