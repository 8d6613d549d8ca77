-- The running month and those before it, the earliest first, quiet ones included.
-- reads: asked, monthly_stats
SELECT first_day AS month,
       coalesce(days_elapsed, least(today, (first_day + interval '1 month')::date - 1) - first_day + 1)::int
         AS "daysElapsed",
       coalesce(active_days, 0)::int AS "activeDays",
       coalesce(sessions, 0)::int AS sessions,
       coalesce(activities, 0)::int AS activities,
       coalesce(reviews, 0)::int AS reviews,
       coalesce(correct, 0)::int AS correct,
       accuracy,
       coalesce(reviews_per_day, 0)::float8 AS "reviewsPerDay",
       coalesce(new_items, 0)::int AS "newItems",
       coalesce(items_mastered, 0)::int AS "itemsMastered",
       coalesce(items_mastered_so_far,
                (SELECT max(items_mastered_so_far) FROM monthly_stats AS earlier WHERE earlier.month < first_day), 0)::int
         AS "itemsMasteredSoFar",
       coalesce(study_seconds, 0)::float8 AS "studySeconds",
       100 * coalesce(consistency, 0)::float8 AS consistency,
       coalesce(trend, CASE WHEN (SELECT max(reviews) FROM monthly_stats AS before
                                   WHERE before.month = (first_day - interval '1 month')::date) > 0
                            THEN 'DOWN' ELSE 'STABLE' END) AS trend
  FROM (SELECT today, (date_trunc('month', today::timestamp) - make_interval(months => ago))::date AS first_day
          FROM asked CROSS JOIN generate_series(0, :months::int - 1) AS ago) AS months
  LEFT JOIN monthly_stats ON month = first_day
 ORDER BY first_day
