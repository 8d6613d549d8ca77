-- name:   item_catalogue
-- about:  What the vocabulary says about each item: its latest spelling, CEFR level and skills.
-- kind:   fold
-- grain:  item_id
-- update: realtime
-- merge:  published_at min, spelling last, level last, domains last
SELECT data->>'item_id' AS item_id,
       min(occurred_at) AS published_at,
       max(stamp(occurred_at, position, data->'spelling')) FILTER (WHERE data->>'spelling' IS NOT NULL) AS spelling,
       max(stamp(occurred_at, position, data->'level')) FILTER (WHERE data->>'level' IS NOT NULL) AS level,
       max(stamp(occurred_at, position, data->'domains')) FILTER (WHERE data->>'domains' IS NOT NULL) AS domains
FROM   events
WHERE  type IN ('vocabulary.ItemPublished', 'vocabulary.ItemUpdated')
GROUP  BY item_id
