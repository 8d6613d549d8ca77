-- name:   level_stats
-- about:  How far a learner is through the items of each CEFR level, and when they may be through.
-- kind:   view
-- grain:  learner_key, level
-- update: lazy
WITH paces AS (
  SELECT progress.learner_key,
         catalogue.level[3] #>> '{}' AS level,
         count(*) AS pace
  FROM   item_progress AS progress
  CROSS  JOIN asked
  JOIN   item_catalogue AS catalogue ON catalogue.item_id = progress.item_id
  WHERE  day_of(progress.first_mastered) BETWEEN asked.today - 27 AND asked.today
  GROUP  BY 1, 2
), standings AS (
  SELECT learner_key,
         level,
         greatest(totals.row_count, items.row_count) AS total_items,   -- the catalogue may be ahead of the batch
         coalesce(items.row_count, 0) AS seen,
         coalesce(items.mastered, 0) AS mastered,
         coalesce(pace, 0) AS pace
  FROM  (SELECT DISTINCT learner_key FROM item_progress) AS learners
  CROSS  JOIN level_totals AS totals
  LEFT   JOIN level_items AS items USING (learner_key, level)
  LEFT   JOIN paces USING (learner_key, level)
)
SELECT learner_key,
       level,
       total_items,
       mastered,
       seen - mastered AS in_progress,
       total_items - seen AS not_started,
       mastered::float8 / total_items AS progress,
       CASE WHEN mastered = total_items THEN asked.today
            WHEN 28 * (total_items - mastered) <= 36525 * pace
            THEN asked.today + ((28 * (total_items - mastered) + pace - 1) / pace)::int
       END AS estimated_completion
FROM   standings
CROSS  JOIN asked
