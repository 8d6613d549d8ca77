-- Every read model as it was before the first event; the log stays.
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT table_name FROM engine.versions WHERE status = 'active' LOOP
    EXECUTE format('TRUNCATE read.%I', name);
  END LOOP;
  UPDATE engine.checkpoints SET position = 0;
END $$
