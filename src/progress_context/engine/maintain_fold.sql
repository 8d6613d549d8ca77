:delta AS MATERIALIZED (
:select
),
:old AS MATERIALIZED (
  SELECT stored.*
    FROM :delta AS delta
   CROSS JOIN LATERAL (SELECT stored.ctid AS row_id, stored.* FROM :table AS stored WHERE :same_grain OFFSET 0) AS stored
),
:merged_rows AS MATERIALIZED (
  SELECT :merged
    FROM :delta AS delta
    LEFT JOIN :old AS old ON :old_grain
),
:new AS (
  INSERT INTO :table AS stored (:columns)
  SELECT :columns FROM :merged_rows
      ON CONFLICT (:grain) DO UPDATE SET :set
   WHERE (:stored_values) IS DISTINCT FROM (:excluded_values)
  RETURNING :columns
)
