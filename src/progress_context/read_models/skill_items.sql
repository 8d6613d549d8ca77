-- name:   skill_items
-- about:  What a learner did for each skill: reviews that name it, and items that train it with the reviews
--         that name no skill; the step behind DomainStats.
-- kind:   rollup
-- grain:  learner_key, domain
-- update: batch
WITH contributions (learner_key, domain, weight, items, mastered, reviews, correct, response_time_ms) AS (
  SELECT progress.learner_key, skill.domain, progress.weight, 1, (progress.mastered[3] = 1)::int,
         progress.unnamed_reviews, progress.unnamed_correct, progress.unnamed_response_time_ms
  FROM   item_progress AS progress
  JOIN   item_catalogue AS catalogue ON catalogue.item_id = progress.item_id
  CROSS  JOIN LATERAL (SELECT DISTINCT jsonb_array_elements_text(catalogue.domains[3]) AS domain) AS skill
  UNION ALL
  SELECT learner_key, domain, weight, 0, 0, reviews, correct, response_time_ms
  FROM   skill_reviews
)
SELECT learner_key,
       domain,
       sum(weight) AS row_count,
       sum(weight * items) AS items,
       sum(weight * mastered) AS mastered,
       sum(weight * reviews) AS reviews,
       sum(weight * correct) AS correct,
       sum(weight * response_time_ms) AS response_time_ms
FROM   contributions
GROUP  BY learner_key, domain
