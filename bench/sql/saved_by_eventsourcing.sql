-- The first version of an aggregate is its creation, no event of ours.
SELECT count(*) AS rows, count(DISTINCT convert_from(state, 'UTF8')::jsonb #>> '{facts,id}') AS events
  FROM application_events WHERE originator_version > 1
