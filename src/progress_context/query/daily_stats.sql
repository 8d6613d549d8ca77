SELECT day::date AS date,
       coalesce(sessions, 0) AS sessions,
       coalesce(sessions_abandoned, 0) AS "sessionsAbandoned",
       coalesce(reviews, 0) AS reviews,
       coalesce(correct, 0) AS correct,
       coalesce(reviews - correct, 0) AS incorrect,
       correct::float8 / nullif(reviews, 0) AS accuracy,
       coalesce(study_ms, 0)::float8 / 1000 AS "studySeconds",
       response_time_ms::float8 / nullif(timed_reviews, 0) AS "averageResponseTimeMs",
       coalesce(new_items, 0) AS "newItems",
       coalesce(items_mastered, 0) AS "itemsMastered",
       coalesce(activities, 0) AS activities,
       coalesce(reviews + sessions + activities > 0, false) AS active
  FROM asked
 CROSS JOIN LATERAL generate_series(coalesce($2::date, asked.today), coalesce($3::date, asked.today), interval '1 day') AS day
  LEFT JOIN daily_stats ON daily_stats.learning_day = day::date
 ORDER BY date
