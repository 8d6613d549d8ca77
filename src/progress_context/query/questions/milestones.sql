-- Milestones of one status, or all.
-- reads: milestones
SELECT type, threshold::int AS threshold, level, target::int AS target, progress::float8 AS progress, status,
       achieved_on AS "achievedOn"
  FROM (SELECT milestones.*, CASE WHEN achieved THEN 'ACHIEVED' WHEN progress > 0 THEN 'IN_PROGRESS'
                                  ELSE 'NOT_STARTED' END AS status
          FROM milestones) AS milestone
 WHERE :status::text IS NULL OR status = :status::text
 ORDER BY array_position(ARRAY['FIRST_SESSION', 'CONSECUTIVE_DAYS', 'ITEMS_MASTERED', 'LEVEL_COMPLETE',
                               'PERFECT_WEEK', 'STUDY_HOURS'], type), threshold
