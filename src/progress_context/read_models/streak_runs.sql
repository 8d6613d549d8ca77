-- name:   streak_runs
-- about:  Runs of consecutive active days. With grace on, a single missed day between two active days
--         joins its neighbours and uses a freeze, at most one freeze in any 7 days.
-- kind:   view
-- grain:  learner_key, first_day
-- update: realtime
WITH RECURSIVE stretches AS (      -- gapless stretches of active days
  SELECT learner_key, min(learning_day) AS first_day, max(learning_day) AS last_day, count(*) AS days,
         row_number() OVER (PARTITION BY learner_key ORDER BY min(learning_day)) AS number
  FROM  (SELECT learner_key, learning_day,
                learning_day - row_number() OVER (PARTITION BY learner_key ORDER BY learning_day)::int AS island
         FROM   active_days) AS numbered
  GROUP  BY learner_key, island
), walk AS (                       -- from the earliest on, each stretch joins the run before it or begins one
  SELECT stretches.*, first_day AS run_first_day, NULL::date AS last_freeze
  FROM   stretches
  WHERE  number = 1
  UNION ALL
  SELECT next.*,
         CASE WHEN bridged THEN walk.run_first_day ELSE next.first_day END,
         CASE WHEN bridged THEN walk.last_day + 1 ELSE walk.last_freeze END
  FROM   walk
  JOIN   stretches AS next ON next.learner_key = walk.learner_key AND next.number = walk.number + 1
  CROSS  JOIN policy
  CROSS  JOIN LATERAL (SELECT policy.streak_grace AND next.first_day - walk.last_day = 2
                          AND coalesce(walk.last_day + 1 - walk.last_freeze >= 7, true) AS bridged) AS gap
)
SELECT learner_key,
       run_first_day AS first_day,
       max(last_day) AS last_day,
       sum(days)::int AS days,
       (count(*) - 1)::int AS freezes_used
FROM   walk
GROUP  BY learner_key, run_first_day
