-- name:   level_totals
-- about:  How many items the catalogue has of each CEFR level.
-- kind:   rollup
-- grain:  level
-- update: realtime
SELECT level[3] #>> '{}' AS level,
       sum(weight) AS row_count
FROM   item_catalogue
WHERE  level IS NOT NULL
GROUP  BY 1
