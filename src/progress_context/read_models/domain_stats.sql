-- name:   domain_stats
-- about:  How a learner stands with each skill: reading, writing, listening, speaking.
-- kind:   view
-- grain:  learner_key, domain
-- update: lazy
WITH standings AS (
  SELECT learner_key,
         domain,
         coalesce(greatest(totals.row_count, items), 0) AS total_items,   -- the catalogue may be ahead of the batch
         coalesce(items, 0) AS seen,
         coalesce(mastered, 0) AS mastered,
         coalesce(reviews, 0)::bigint AS reviews,
         coalesce(correct, 0)::bigint AS correct,
         coalesce(response_time_ms, 0) AS response_time_ms
  FROM  (SELECT DISTINCT learner_key FROM item_progress) AS learners
  CROSS  JOIN (VALUES ('reading'), ('writing'), ('listening'), ('speaking')) AS skills (domain)
  LEFT   JOIN skill_totals AS totals USING (domain)
  LEFT   JOIN skill_items USING (learner_key, domain)
)
SELECT learner_key,
       domain,
       total_items,
       mastered,
       seen - mastered AS in_progress,
       total_items - seen AS not_started,
       mastered::float8 / nullif(total_items, 0) AS progress,
       reviews,
       correct,
       correct::float8 / nullif(reviews, 0) AS accuracy,
       response_time_ms / 1000.0::float8 AS time_spent_seconds
FROM   standings
