-- name:   monthly_stats
-- about:  A learner's calendar months, each with its trend against the month before.
-- kind:   view
-- grain:  learner_key, month
-- update: lazy
WITH totals AS (
  SELECT learner_key,
         learning_day - (extract(day FROM learning_day)::int - 1) AS month,
         count(*) FILTER (WHERE reviews + sessions + activities > 0) AS active_days,
         sum(sessions)::bigint AS sessions, sum(reviews)::bigint AS reviews, sum(correct)::bigint AS correct,
         sum(new_items)::bigint AS new_items, sum(items_mastered)::bigint AS items_mastered,
         sum(activities)::bigint AS activities, sum(study_ms)::bigint AS study_ms
  FROM   daily_stats
  GROUP  BY learner_key, month
), months AS (
  SELECT totals.*, days,
         CASE WHEN asked.today - month BETWEEN 0 AND days - 1 THEN asked.today - month + 1 ELSE days END AS days_elapsed
  FROM   totals
  CROSS  JOIN LATERAL (SELECT (month + interval '1 month')::date - month AS days) AS calendar
  CROSS  JOIN asked
)
SELECT month.learner_key,
       month.month,
       month.days_elapsed,
       month.active_days,
       month.sessions,
       month.activities,
       month.reviews,
       month.correct,
       month.correct::float8 / nullif(month.reviews, 0) AS accuracy,
       month.reviews::float8 / month.days_elapsed AS reviews_per_day,
       month.new_items,
       month.items_mastered,
       sum(month.items_mastered) OVER (PARTITION BY month.learner_key ORDER BY month.month)::bigint AS items_mastered_so_far,
       month.study_ms / 1000.0::float8 AS study_seconds,
       month.active_days::float8 / month.days AS consistency,
       CASE WHEN now = earlier THEN 'STABLE'
            WHEN 100 * now >= 105 * earlier THEN 'UP'
            WHEN 100 * now <= 95 * earlier THEN 'DOWN'
            ELSE 'STABLE' END AS trend
FROM   months AS month
LEFT   JOIN months AS before
       ON before.learner_key = month.learner_key AND before.month = (month.month - interval '1 month')::date
CROSS  JOIN LATERAL (        -- both averages times both numbers of days: whole numbers compare exactly
  SELECT month.reviews * coalesce(before.days_elapsed, 1) AS now,
         coalesce(before.reviews * month.days_elapsed, 0) AS earlier
) AS pace
