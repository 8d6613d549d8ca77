-- name:   user_summary
-- about:  A learner's totals.
-- kind:   view
-- grain:  learner_key
-- update: lazy
WITH days AS (
  SELECT learner_key,
         sum(sessions)::bigint AS sessions, sum(reviews)::bigint AS reviews, sum(correct)::bigint AS correct,
         sum(activities)::bigint AS activities, sum(study_ms)::bigint AS study_ms
  FROM   daily_stats
  GROUP  BY learner_key
), items AS (
  SELECT learner_key,
         count(*) AS items_seen,
         count(*) FILTER (WHERE mastered[3] = 1) AS items_mastered,
         count(*) FILTER (WHERE first_review IS NOT NULL) AS items_learned
  FROM   item_progress
  GROUP  BY learner_key
)
SELECT learner_key,
       coalesce(sessions, 0) AS sessions,
       coalesce(reviews, 0) AS reviews,
       coalesce(correct, 0) AS correct,
       correct::float8 / nullif(reviews, 0) AS accuracy,
       coalesce(study_ms, 0) / 1000.0::float8 AS study_seconds,
       coalesce(activities, 0) AS activities,
       coalesce(items_seen, 0) AS items_seen,
       coalesce(items_learned, 0) AS items_learned,
       coalesce(items_mastered, 0) AS items_mastered,
       coalesce(items_seen - items_mastered, 0) AS items_in_progress,
       first_active_day,
       last_active_day,
       coalesce(total_active_days, 0) AS total_active_days,
       coalesce(streak.current, 0) AS current_streak,
       coalesce(streak.longest, 0) AS longest_streak
FROM   days
FULL   JOIN items USING (learner_key)
FULL   JOIN streak USING (learner_key)
