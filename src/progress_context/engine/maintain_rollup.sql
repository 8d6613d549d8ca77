-- As a fold, but a group without rows behind it vanishes.
:delta AS MATERIALIZED (
:select
),
:old AS MATERIALIZED (
  SELECT stored.*
    FROM :delta AS delta
   CROSS JOIN LATERAL (SELECT stored.ctid AS row_id, stored.* FROM :table AS stored WHERE :same_grain OFFSET 0) AS stored
),
:merged_rows AS MATERIALIZED (
  SELECT old.row_id, :merged
    FROM :delta AS delta
    LEFT JOIN :old AS old ON :old_grain
),
:gone AS (
  DELETE FROM :table
   WHERE ctid = ANY (ARRAY (SELECT row_id FROM :merged_rows WHERE row_count = 0 AND row_id IS NOT NULL))
  RETURNING ctid AS row_id
),
:new AS (
  INSERT INTO :table AS stored (:columns)
  SELECT :columns FROM :merged_rows WHERE row_count <> 0
      ON CONFLICT (:grain) DO UPDATE SET :set
   WHERE (:stored_values) IS DISTINCT FROM (:excluded_values)
  RETURNING :columns
)
