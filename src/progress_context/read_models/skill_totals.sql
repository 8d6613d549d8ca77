-- name:   skill_totals
-- about:  How many items the catalogue has for each skill; an item may train several.
-- kind:   rollup
-- grain:  domain
-- update: realtime
SELECT skill.domain,
       sum(weight) AS row_count
FROM   item_catalogue
CROSS  JOIN LATERAL (SELECT DISTINCT jsonb_array_elements_text(domains[3]) AS domain) AS skill
GROUP  BY skill.domain
