-- The users that the services log in as, each with the rights of its role and no others. Once, after the first
-- migration, as the owner of the database:
--   psql "$OWNER_URL" -v command=PASSWORD -v projection=PASSWORD -v query=PASSWORD -f deploy/service_users.sql
\set ON_ERROR_STOP on
CREATE ROLE progress_command_login    LOGIN PASSWORD :'command'    IN ROLE progress_command;
CREATE ROLE progress_projection_login LOGIN PASSWORD :'projection' IN ROLE progress_projection;
CREATE ROLE progress_query_login      LOGIN PASSWORD :'query'      IN ROLE progress_query;
