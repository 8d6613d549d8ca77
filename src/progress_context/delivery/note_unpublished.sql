-- Events that the broker refused, column by column.
INSERT INTO ops.unpublished (topic, position, learner_key, type, reason)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
    ON CONFLICT (topic, position) DO NOTHING
