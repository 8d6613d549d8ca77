-- One row for every day asked for, quiet ones included.
-- reads: asked, policy, daily_stats
SELECT day::date AS date,
       coalesce(sessions, 0)::int AS sessions,
       coalesce(sessions_abandoned, 0)::int AS "sessionsAbandoned",
       coalesce(reviews, 0)::int AS reviews,
       coalesce(correct, 0)::int AS correct,
       coalesce(reviews - correct, 0)::int AS incorrect,
       correct::float8 / nullif(reviews, 0)::float8 AS accuracy,
       coalesce(study_ms, 0)::float8 / 1000 AS "studyTime.seconds",
       (SELECT cap_seconds::int FROM policy) AS "studyTime.sessionCapSeconds",
       (SELECT extract(epoch FROM idle_gap)::int FROM policy) AS "studyTime.idleGapSeconds",
       response_time_ms::float8 / nullif(timed_reviews, 0)::float8 AS "averageResponseTimeMs",
       coalesce(new_items, 0)::int AS "newItems",
       coalesce(items_mastered, 0)::int AS "itemsMastered",
       coalesce(activities, 0)::int AS activities,
       coalesce(reviews + sessions + activities > 0, false) AS active
  FROM generate_series(coalesce(:day_from::date, (SELECT today FROM asked)),
                       coalesce(:day_to::date, (SELECT today FROM asked)), interval '1 day') AS day
  LEFT JOIN (SELECT * FROM daily_stats
              WHERE learning_day BETWEEN coalesce(:day_from::date, (SELECT today FROM asked))
                                     AND coalesce(:day_to::date, (SELECT today FROM asked))) AS stats
         ON learning_day = day::date
 ORDER BY day
