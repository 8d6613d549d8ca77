-- The running week and those before it, the earliest first, quiet ones included.
-- reads: asked, weekly_stats
SELECT monday AS week,
       coalesce(days_elapsed, least(today - monday + 1, 7))::int AS "daysElapsed",
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
                (SELECT max(items_mastered_so_far) FROM weekly_stats AS earlier WHERE earlier.week < monday), 0)::int
         AS "itemsMasteredSoFar",
       coalesce(study_seconds, 0)::float8 AS "studySeconds",
       100 * coalesce(consistency, 0)::float8 AS consistency,
       coalesce(trend, CASE WHEN (SELECT max(reviews) FROM weekly_stats AS before WHERE before.week = monday - 7) > 0
                            THEN 'DOWN' ELSE 'STABLE' END) AS trend
  FROM (SELECT today, today - extract(isodow FROM today)::int + 1 - 7 * ago AS monday
          FROM asked CROSS JOIN generate_series(0, :weeks::int - 1) AS ago) AS weeks
  LEFT JOIN weekly_stats ON week = monday
 ORDER BY monday
