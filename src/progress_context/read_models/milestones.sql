-- name:   milestones
-- about:  What a learner has achieved and on which day, and how far the rest still is.
-- kind:   view
-- grain:  learner_key, type, threshold
-- update: lazy
WITH goals (type, threshold, target) AS (
  VALUES ('FIRST_SESSION', 1, 1),
         ('CONSECUTIVE_DAYS', 7, 7), ('CONSECUTIVE_DAYS', 30, 30), ('CONSECUTIVE_DAYS', 100, 100),
         ('CONSECUTIVE_DAYS', 365, 365),
         ('ITEMS_MASTERED', 100, 100), ('ITEMS_MASTERED', 500, 500), ('ITEMS_MASTERED', 1000, 1000),
         ('PERFECT_WEEK', 1, 7),
         ('STUDY_HOURS', 10, 10), ('STUDY_HOURS', 100, 100), ('STUDY_HOURS', 1000, 1000)
), learners AS (
  SELECT learner_key FROM daily_stats UNION SELECT learner_key FROM item_progress
), totals AS (
  SELECT learner_key, learning_day,
         sum(sessions) OVER so_far AS sessions,
         sum(items_mastered) OVER so_far AS items_mastered,
         sum(study_ms) OVER so_far AS study_ms
  FROM   daily_stats
  WINDOW so_far AS (PARTITION BY learner_key ORDER BY learning_day)
), in_runs AS (                    -- a run begins on an active day, so each day is in the run begun last
  SELECT active_days.learner_key, learning_day,
         learning_day - extract(isodow FROM learning_day)::int + 7 AS sunday,
         max(first_day) OVER (PARTITION BY active_days.learner_key ORDER BY learning_day) AS run
  FROM   active_days
  LEFT   JOIN streak_runs ON streak_runs.learner_key = active_days.learner_key AND first_day = learning_day
), in_a_row AS (
  SELECT learner_key, learning_day, sunday,
         row_number() OVER (PARTITION BY learner_key, run ORDER BY learning_day) AS days_of_run,
         row_number() OVER (PARTITION BY learner_key, sunday ORDER BY learning_day) AS days_of_week
  FROM   in_runs
), counts (learner_key, learning_day, type, count, lasts_until) AS (
  SELECT learner_key, learning_day, 'FIRST_SESSION', sessions::float8, DATE 'infinity' FROM totals
  UNION ALL
  SELECT learner_key, learning_day, 'ITEMS_MASTERED', items_mastered::float8, DATE 'infinity' FROM totals
  UNION ALL
  SELECT learner_key, learning_day, 'STUDY_HOURS', study_ms::float8 / 3600000, DATE 'infinity' FROM totals
  UNION ALL
  SELECT learner_key, learning_day, 'CONSECUTIVE_DAYS', days_of_run::float8, learning_day + 1 FROM in_a_row
  UNION ALL
  SELECT learner_key, learning_day, 'PERFECT_WEEK', days_of_week::float8, sunday FROM in_a_row
), mastered AS (
  SELECT learner_key, level, count(*) AS items, max(day_of(first_mastered)) AS last_day
  FROM   item_progress
  JOIN  (SELECT item_id, level[3] #>> '{}' AS level FROM item_catalogue) AS catalogue USING (item_id)
  WHERE  mastered[3] = 1
  GROUP  BY learner_key, level
), standings AS (
  SELECT learner_key, type, threshold, NULL AS level, target,
         coalesce(max(count) FILTER (WHERE lasts_until >= asked.today), 0) AS progress,
         min(learning_day) FILTER (WHERE count >= target) AS achieved_on
  FROM   learners
  CROSS  JOIN goals
  CROSS  JOIN asked
  LEFT   JOIN counts USING (learner_key, type)
  GROUP  BY learner_key, type, threshold, target
  UNION ALL
  SELECT learner_key, 'LEVEL_COMPLETE', array_position(ARRAY['A1', 'A2', 'B1', 'B2', 'C1', 'C2'], level), level,
         row_count, coalesce(items, 0), CASE WHEN items = row_count THEN last_day END
  FROM   learners
  CROSS  JOIN level_totals
  LEFT   JOIN mastered USING (learner_key, level)
)
SELECT learner_key,
       type,
       threshold,
       level,
       target::int AS target,
       CASE WHEN achieved_on IS NULL THEN progress ELSE target END AS progress,
       achieved_on IS NOT NULL AS achieved,
       achieved_on
FROM   standings
