SELECT day::date AS date,
       coalesce(reviews + sessions + activities > 0, false) AS active,
       coalesce(reviews, 0) AS reviews,
       coalesce(sessions, 0) AS sessions,
       coalesce(activities, 0) AS activities,
       coalesce(study_ms, 0)::float8 / 1000 AS "studySeconds"
  FROM asked
 CROSS JOIN LATERAL generate_series(coalesce($2::date, asked.today - 364), coalesce($3::date, asked.today), interval '1 day') AS day
  LEFT JOIN daily_stats ON daily_stats.learning_day = day::date
 ORDER BY date
