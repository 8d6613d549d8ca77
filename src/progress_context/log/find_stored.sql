-- Which of these events the log holds already, and whether their content is the same.
-- An event sent without a time keeps the one it was given when it was stored.
SELECT stored.source, stored.id, stored.position, differs.path IS NULL AS same, differs.path AS differs
  FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::bigint[], $6::timestamptz[], $7::text[])
       AS sent (source, id, type, version, learner_key, occurred_at, data)
  CROSS JOIN LATERAL (
       SELECT * FROM log.events event
        WHERE event.source = sent.source AND event.id = sent.id
       OFFSET 0) AS stored
  CROSS JOIN LATERAL (
       SELECT CASE
         WHEN stored.type <> sent.type                                   THEN 'type'
         WHEN stored.version <> sent.version                             THEN 'version'
         WHEN stored.learner_key IS DISTINCT FROM sent.learner_key       THEN 'subject'
         WHEN stored.occurred_at <> sent.occurred_at                     THEN 'time'
         WHEN stored.data <> sent.data::jsonb                            THEN 'data'
       END AS path) AS differs
