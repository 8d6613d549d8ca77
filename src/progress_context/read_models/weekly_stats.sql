-- name:   weekly_stats
-- about:  A learner's weeks, Monday to Sunday, each with its trend against the week before.
-- kind:   view
-- grain:  learner_key, week
-- update: lazy
WITH weeks AS (
  SELECT learner_key, week, active_days,
         sessions::bigint AS sessions, reviews::bigint AS reviews, correct::bigint AS correct,
         new_items::bigint AS new_items, items_mastered::bigint AS items_mastered,
         activities::bigint AS activities, study_ms::bigint AS study_ms,
         CASE WHEN asked.today BETWEEN week AND week + 6 THEN asked.today - week + 1 ELSE 7 END AS days_elapsed
  FROM   weekly_totals
  CROSS  JOIN asked
)
SELECT week.learner_key,
       week.week,
       week.days_elapsed,
       week.active_days,
       week.sessions,
       week.activities,
       week.reviews,
       week.correct,
       week.correct::float8 / nullif(week.reviews, 0) AS accuracy,
       week.reviews::float8 / week.days_elapsed AS reviews_per_day,
       week.new_items,
       week.items_mastered,
       sum(week.items_mastered) OVER (PARTITION BY week.learner_key ORDER BY week.week)::bigint AS items_mastered_so_far,
       week.study_ms / 1000.0::float8 AS study_seconds,
       week.active_days / 7.0::float8 AS consistency,
       CASE WHEN now = earlier THEN 'STABLE'
            WHEN 100 * now >= 105 * earlier THEN 'UP'
            WHEN 100 * now <= 95 * earlier THEN 'DOWN'
            ELSE 'STABLE' END AS trend
FROM   weeks AS week
LEFT   JOIN weeks AS before ON before.learner_key = week.learner_key AND before.week = week.week - 7
CROSS  JOIN LATERAL (        -- both averages times both numbers of days: whole numbers compare exactly
  SELECT week.reviews * coalesce(before.days_elapsed, 1) AS now,
         coalesce(before.reviews * week.days_elapsed, 0) AS earlier
) AS pace
