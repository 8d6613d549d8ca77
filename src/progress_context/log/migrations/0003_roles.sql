-- Least privilege: each service works under its own role; nobody may change the log.

DO $$
DECLARE
  service text;
BEGIN
  FOREACH service IN ARRAY ARRAY['progress_command', 'progress_projection', 'progress_query'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', service);
    END IF;
    EXECUTE format('GRANT %I TO CURRENT_USER', service);
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA log TO progress_command, progress_projection, progress_query;
GRANT USAGE ON SCHEMA engine TO progress_projection, progress_query;
GRANT USAGE ON SCHEMA read TO progress_projection, progress_query;

GRANT SELECT, INSERT ON log.events, log.learners, log.profiles, log.voids TO progress_command;
GRANT SELECT, INSERT, UPDATE ON log.unknown_types TO progress_command;
GRANT SELECT, UPDATE ON log.head TO progress_command;

GRANT SELECT ON ALL TABLES IN SCHEMA log TO progress_projection;
GRANT CREATE ON SCHEMA read TO progress_projection;
GRANT SELECT, INSERT, UPDATE, DELETE ON engine.versions, engine.checkpoints TO progress_projection;

GRANT SELECT ON log.head, log.learners, log.profiles TO progress_query;
GRANT SELECT ON engine.versions, engine.checkpoints TO progress_query;
ALTER DEFAULT PRIVILEGES FOR ROLE progress_projection IN SCHEMA read GRANT SELECT ON TABLES TO progress_query;
