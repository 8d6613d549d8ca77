-- name:   level_items
-- about:  The items of each CEFR level that a learner has seen; the step behind LevelStats.
-- kind:   rollup
-- grain:  learner_key, level
-- update: batch
SELECT progress.learner_key,
       catalogue.level[3] #>> '{}' AS level,
       sum(progress.weight) AS row_count,
       sum(progress.weight * (progress.mastered[3] = 1)::int) AS mastered
FROM   item_progress AS progress
JOIN   item_catalogue AS catalogue ON catalogue.item_id = progress.item_id
WHERE  catalogue.level IS NOT NULL
GROUP  BY 1, 2
