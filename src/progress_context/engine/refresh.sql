-- Compute the rows of learners $1 anew; only rows that differ are written.
WITH fresh AS MATERIALIZED (
:select
),
gone AS (
  DELETE FROM :table AS stored
   WHERE stored.learner_key = ANY ($1::bigint[])
     AND NOT EXISTS (SELECT FROM fresh WHERE :same_grain)
  RETURNING stored.learner_key
),
new AS (
  INSERT INTO :table AS stored (:columns)
  SELECT :columns FROM fresh
      ON CONFLICT (:grain) DO UPDATE SET :set
   WHERE (:stored_values) IS DISTINCT FROM (:excluded_values)
  RETURNING learner_key
)
SELECT array_agg(DISTINCT learner_key) FROM (SELECT * FROM gone UNION ALL SELECT * FROM new) AS changed
