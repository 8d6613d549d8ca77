-- One row, zeros for who was never active.
-- reads: asked, streak
SELECT asked.today,
       coalesce(streak.current, 0)::int AS current,
       coalesce(streak.longest, 0)::int AS longest,
       streak.last_active_day AS "lastActiveDay",
       coalesce(streak.total_active_days, 0)::int AS "totalActiveDays",
       coalesce(streak.active_today, false) AS "activeToday",
       coalesce(streak.alive, false) AS alive,
       coalesce(streak.freezes_used, 0)::int AS "freezesUsed"
  FROM asked LEFT JOIN streak ON true
