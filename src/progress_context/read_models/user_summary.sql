-- name:   user_summary
-- about:  A learner's totals, how far they have come, what they achieved last and what comes next.
-- kind:   view
-- grain:  learner_key
-- update: lazy
WITH days AS (
  SELECT learner_key,
         sum(sessions)::bigint AS sessions, sum(reviews)::bigint AS reviews, sum(correct)::bigint AS correct,
         sum(activities)::bigint AS activities, sum(study_ms)::bigint AS study_ms,
         sum(reviews) FILTER (WHERE learning_day > today - 30 AND learning_day <= today) AS recent_reviews,
         sum(correct) FILTER (WHERE learning_day > today - 30 AND learning_day <= today) AS recent_correct,
         count(*) FILTER (WHERE learning_day > today - 30 AND learning_day <= today
                            AND reviews + sessions + activities > 0) AS recent_active_days
  FROM   daily_stats
  CROSS  JOIN asked
  GROUP  BY learner_key
), items AS (
  SELECT learner_key,
         count(*) AS items_seen,
         count(*) FILTER (WHERE mastered[3] = 1) AS items_mastered,
         count(*) FILTER (WHERE first_review IS NOT NULL) AS items_learned
  FROM   item_progress
  GROUP  BY learner_key
), next AS (
  SELECT DISTINCT ON (learner_key) learner_key, type, threshold, level, progress, target
  FROM   milestones
  WHERE  NOT achieved
  ORDER  BY learner_key, progress / target DESC, type, threshold
), achievements AS (
  SELECT learner_key,
         jsonb_agg(jsonb_build_object('type', type, 'threshold', threshold, 'level', level, 'achieved_on', achieved_on)
                   ORDER BY number) AS achievements
  FROM  (SELECT milestones.*,
                row_number() OVER (PARTITION BY learner_key ORDER BY achieved_on DESC, type, threshold) AS number
         FROM   milestones
         WHERE  achieved) AS latest
  WHERE  number <= 3
  GROUP  BY learner_key
)
SELECT learner_key,
       coalesce(sessions, 0) AS sessions,
       coalesce(reviews, 0) AS reviews,
       coalesce(correct, 0) AS correct,
       correct::float8 / nullif(reviews, 0) AS accuracy,
       coalesce(study_ms, 0) / 1000.0::float8 AS study_seconds,
       coalesce(study_ms, 0) / 3600000.0::float8 AS study_hours,
       coalesce(study_ms, 0) / 60000.0::float8 / nullif(greatest(today - first_active_day + 1, 0), 0)
         AS average_daily_minutes,
       coalesce(activities, 0) AS activities,
       coalesce(items_seen, 0) AS items_seen,
       coalesce(items_learned, 0) AS items_learned,
       coalesce(items_mastered, 0) AS items_mastered,
       coalesce(items_seen - items_mastered, 0) AS items_in_progress,
       first_active_day,
       last_active_day,
       coalesce(total_active_days, 0) AS total_active_days,
       coalesce(streak.current, 0) AS current_streak,
       coalesce(streak.longest, 0) AS longest_streak,
       coalesce(recent_active_days, 0) / 30.0::float8 AS consistency,
       coalesce(40 * least(items_mastered, items_learned)::float8 / nullif(items_learned, 0), 0)
         + coalesce(30 * recent_correct::float8 / nullif(recent_reviews, 0), 0)
         + coalesce(30 * least(coalesce(items_learned, 0), catalogue.items)::float8 / nullif(catalogue.items, 0), 0)
         AS progress_score,
       next.type AS next_milestone_type,
       next.threshold AS next_milestone_threshold,
       next.level AS next_milestone_level,
       next.progress AS next_milestone_progress,
       next.target AS next_milestone_target,
       coalesce(achievements, '[]') AS recent_achievements
FROM   days
FULL   JOIN items USING (learner_key)
FULL   JOIN streak USING (learner_key)
LEFT   JOIN next USING (learner_key)
LEFT   JOIN achievements USING (learner_key)
CROSS  JOIN asked
CROSS  JOIN (SELECT count(*) AS items FROM item_catalogue) AS catalogue
