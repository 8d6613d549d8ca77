-- Compute the rows of learners $1 anew; only rows that differ are written, or locked.
WITH fresh AS MATERIALIZED (
:select
),
stored AS MATERIALIZED (
  SELECT ctid, * FROM :table WHERE learner_key = ANY ($1::bigint[])
),
gone AS (
  DELETE FROM :table
   WHERE ctid = ANY (ARRAY(SELECT ctid FROM stored WHERE NOT EXISTS (SELECT FROM fresh WHERE :same_grain)))
  RETURNING learner_key
),
new AS (
  INSERT INTO :table (:columns)
  SELECT :columns FROM fresh
   WHERE NOT EXISTS (SELECT FROM stored WHERE :same_grain AND (:stored_values) IS NOT DISTINCT FROM (:fresh_values))
      ON CONFLICT (:grain) DO UPDATE SET :set
  RETURNING learner_key
)
SELECT array_agg(DISTINCT learner_key) FROM (SELECT * FROM gone UNION ALL SELECT * FROM new) AS changed
