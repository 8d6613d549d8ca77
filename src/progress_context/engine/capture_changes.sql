:changes AS MATERIALIZED (
  SELECT :columns, 1 AS weight FROM :new
   UNION ALL
  SELECT :old_columns, -1 AS weight FROM :old AS old WHERE :replaced
)
