-- One row for every day asked for, by default the last 365.
-- reads: asked, daily_stats
SELECT day::date AS date,
       coalesce(reviews + sessions + activities > 0, false) AS active,
       coalesce(reviews, 0)::int AS reviews,
       coalesce(sessions, 0)::int AS sessions,
       coalesce(activities, 0)::int AS activities,
       coalesce(study_ms, 0)::float8 / 1000 AS "studySeconds"
  FROM generate_series(coalesce(:day_from::date, (SELECT today - 364 FROM asked)),
                       coalesce(:day_to::date, (SELECT today FROM asked)), interval '1 day') AS day
  LEFT JOIN (SELECT * FROM daily_stats
              WHERE learning_day BETWEEN coalesce(:day_from::date, (SELECT today - 364 FROM asked))
                                     AND coalesce(:day_to::date, (SELECT today FROM asked))) AS stats
         ON learning_day = day::date
 ORDER BY day
