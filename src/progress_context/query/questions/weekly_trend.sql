-- One row: what the weeks say together. Today counts as elapsed.
-- reads: asked, weekly_stats
SELECT CASE WHEN latest.reviews = before.reviews THEN 'STABLE'
            WHEN 100 * latest.reviews >= 105 * before.reviews THEN 'UP'
            WHEN 100 * latest.reviews <= 95 * before.reviews THEN 'DOWN'
            ELSE 'STABLE' END AS trend,
       100 * coalesce((SELECT sum(active_days) FROM weekly_stats
                        WHERE week BETWEEN monday - 7 * (:weeks::int - 1) AND monday), 0)::float8
         / (today - monday + 7 * (:weeks::int - 1) + 1) AS consistency
  FROM (SELECT today, today - extract(isodow FROM today)::int + 1 AS monday FROM asked) AS running
 CROSS JOIN LATERAL (SELECT coalesce(sum(reviews), 0) AS reviews FROM weekly_stats WHERE week = monday - 7) AS latest
 CROSS JOIN LATERAL (SELECT coalesce(sum(reviews), 0) AS reviews FROM weekly_stats WHERE week = monday - 14) AS before
