-- name:   performance
-- about:  How well a learner did in the last day, week, month, quarter, year and ever, beside the time before.
-- kind:   view
-- grain:  learner_key, period
-- update: lazy
WITH lengths (period, length) AS (
  VALUES ('DAY', 1), ('WEEK', 7), ('MONTH', 30), ('QUARTER', 90), ('YEAR', 365), ('ALL', NULL)
), learners AS (
  SELECT learner_key, min(active_days.learning_day) FILTER (WHERE active_days.learning_day <= today) AS first_active_day
  FROM  (SELECT learner_key FROM daily_stats UNION SELECT learner_key FROM retention) AS known
  CROSS  JOIN asked
  LEFT   JOIN active_days USING (learner_key)
  GROUP  BY learner_key
), periods AS (
  SELECT learner_key, period, today,
         coalesce(length, today - first_active_day + 1) AS days,
         coalesce(today - length, DATE '-infinity') AS day_before,
         today - 2 * length AS day_before_previous
  FROM   learners CROSS JOIN lengths CROSS JOIN asked
), done AS (
  SELECT learner_key, period,
         sum(reviews) FILTER (WHERE learning_day > day_before) AS reviews,
         sum(correct) FILTER (WHERE learning_day > day_before) AS correct,
         sum(items_mastered) FILTER (WHERE learning_day > day_before) AS items_mastered,
         count(*) FILTER (WHERE learning_day > day_before AND reviews + sessions + activities > 0) AS active_days,
         sum(reviews) FILTER (WHERE learning_day <= day_before) AS previous_reviews,
         sum(correct) FILTER (WHERE learning_day <= day_before) AS previous_correct
  FROM   periods
  JOIN   daily_stats USING (learner_key)
  WHERE  learning_day <= today AND learning_day > coalesce(day_before_previous, day_before)
  GROUP  BY learner_key, period
), kept AS (
  SELECT learner_key, period, sum(young_reviews) AS young_reviews, sum(young_passed) AS young_passed,
         sum(mature_reviews) AS mature_reviews, sum(mature_passed) AS mature_passed
  FROM   periods
  JOIN   retention USING (learner_key)
  WHERE  learning_day > day_before AND learning_day <= today
  GROUP  BY learner_key, period
), timely AS (
  SELECT learner_key, period, sum(reviews_due) AS reviews_due, sum(reviews_on_time) AS reviews_on_time
  FROM   periods
  JOIN   review_timeliness USING (learner_key)
  WHERE  learning_day > day_before AND learning_day <= today
  GROUP  BY learner_key, period
), sums AS (
  SELECT learner_key, period, days,
         coalesce(reviews, 0)::bigint AS reviews, coalesce(correct, 0)::bigint AS correct,
         coalesce(previous_reviews, 0)::bigint AS previous_reviews, previous_correct::bigint AS previous_correct,
         coalesce(items_mastered, 0)::bigint AS items_mastered, coalesce(active_days, 0) AS active_days,
         coalesce(young_reviews, 0)::bigint AS young_reviews, coalesce(young_passed, 0)::bigint AS young_passed,
         coalesce(mature_reviews, 0)::bigint AS mature_reviews, coalesce(mature_passed, 0)::bigint AS mature_passed,
         coalesce(reviews_due, 0)::bigint AS reviews_due, coalesce(reviews_on_time, 0)::bigint AS reviews_on_time
  FROM   periods
  LEFT   JOIN done USING (learner_key, period)
  LEFT   JOIN kept USING (learner_key, period)
  LEFT   JOIN timely USING (learner_key, period)
), ratios AS (
  SELECT sums.*,
         correct::float8 / nullif(reviews, 0) AS accuracy,
         (young_passed + mature_passed)::float8 / nullif(young_reviews + mature_reviews, 0) AS retention,
         reviews_on_time::float8 / nullif(reviews_due, 0) AS on_time,
         active_days::float8 / days AS consistency
  FROM   sums
)
SELECT learner_key,
       period,
       days,
       reviews,
       correct,
       accuracy,
       previous_correct::float8 / nullif(previous_reviews, 0) AS previous_accuracy,
       CASE WHEN reviews = 0 OR previous_reviews = 0 THEN NULL
            WHEN correct * previous_reviews = previous_correct * reviews THEN 'STABLE'
            WHEN 100 * correct * previous_reviews >= 105 * previous_correct * reviews THEN 'UP'
            WHEN 100 * correct * previous_reviews <= 95 * previous_correct * reviews THEN 'DOWN'
            ELSE 'STABLE' END AS accuracy_trend,
       items_mastered,
       items_mastered::float8 / days AS learning_velocity,
       young_reviews + mature_reviews AS retention_reviews,
       young_passed + mature_passed AS retention_passed,
       retention,
       young_reviews,
       young_passed,
       young_passed::float8 / nullif(young_reviews, 0) AS retention_young,
       mature_reviews,
       mature_passed,
       mature_passed::float8 / nullif(mature_reviews, 0) AS retention_mature,
       reviews_due,
       reviews_on_time,
       on_time,
       active_days,
       consistency,
       100 * (coalesce(40 * coalesce(retention, accuracy), 0) + coalesce(30 * consistency, 0) + coalesce(30 * on_time, 0))
         / nullif((coalesce(retention, accuracy) IS NOT NULL)::int * 40 + (consistency IS NOT NULL)::int * 30
                  + (on_time IS NOT NULL)::int * 30, 0) AS score
FROM   ratios
