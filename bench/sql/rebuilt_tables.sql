-- Each read model's table, and the one it replaced.
SELECT fresh.read_model, fresh.table_name AS fresh, former.table_name AS former
  FROM engine.versions AS fresh
  JOIN engine.versions AS former USING (read_model)
 WHERE fresh.status = 'active' AND former.status = 'retired'
