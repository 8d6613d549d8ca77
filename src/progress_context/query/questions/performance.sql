-- One row, zeros for who did nothing yet.
-- reads: performance
SELECT :period::text AS period,
       coalesce(days, CASE :period::text WHEN 'WEEK' THEN 7 WHEN 'MONTH' THEN 30 WHEN 'QUARTER' THEN 90
                                         WHEN 'YEAR' THEN 365 END)::int AS days,
       coalesce(reviews, 0)::int AS reviews,
       coalesce(correct, 0)::int AS correct,
       accuracy,
       previous_accuracy AS "previousAccuracy",
       accuracy_trend AS "accuracyTrend",
       coalesce(items_mastered, 0)::int AS "itemsMastered",
       learning_velocity::float8 AS "learningVelocity",
       retention, retention_young AS "retentionYoung", retention_mature AS "retentionMature",
       coalesce(reviews_due, 0)::int AS "reviewsDue",
       coalesce(reviews_on_time, 0)::int AS "reviewsOnTime",
       on_time AS "onTime",
       coalesce(active_days, 0)::int AS "activeDays",
       100 * consistency AS consistency,
       score::float8 AS score
  FROM (SELECT) AS one LEFT JOIN performance ON period = :period::text
