-- One row for each skill, or for each level with items.
-- reads: domain_stats, level_stats
SELECT upper(domain) AS name, upper(domain) AS domain, NULL::text AS level,
       total_items::int AS "totalItems", mastered::int AS mastered, in_progress::int AS "inProgress",
       not_started::int AS "notStarted", 100 * progress AS progress, accuracy,
       time_spent_seconds::float8 AS "timeSpentSeconds", NULL::date AS "estimatedCompletion",
       array_position(ARRAY['reading', 'writing', 'listening', 'speaking'], domain) AS number
  FROM domain_stats
 WHERE :category_type::text = 'DOMAIN'
UNION ALL
SELECT level, NULL, level, total_items::int, mastered::int, in_progress::int, not_started::int, 100 * progress, NULL,
       NULL, estimated_completion, array_position(ARRAY['A1', 'A2', 'B1', 'B2', 'C1', 'C2'], level)
  FROM level_stats
 WHERE :category_type::text = 'LEVEL'
 ORDER BY number
