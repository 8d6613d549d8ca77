-- The learners who have rows under the keys of a lookup that events of positions $1 + 1 … $2 changed.
SELECT array_agg(DISTINCT source.learner_key)
  FROM :table AS source
 WHERE (:columns) IN (SELECT :grain FROM (
:select
) AS changed)
   AND :scope
