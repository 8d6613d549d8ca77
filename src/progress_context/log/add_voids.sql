-- Which events are named by learning.EventVoided; the first one to name an event counts.
INSERT INTO log.voids (learner_key, source, id, position)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])
    ON CONFLICT (learner_key, source, id) DO NOTHING
