-- Keep a message that could not be stored, or count another attempt at it, unless it was settled.
INSERT INTO ops.dead_letters AS letter (channel, subscription, message_id, code, path, reason, published_at, ordering_key,
                                        wrapped, size, attributes, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::json, $12)
    ON CONFLICT (subscription, message_id) DO UPDATE
   SET attempts     = letter.attempts + 1,
       last_seen_at = clock_timestamp(),
       code         = CASE WHEN letter.settled_at IS NULL THEN excluded.code ELSE letter.code END,
       path         = CASE WHEN letter.settled_at IS NULL THEN excluded.path ELSE letter.path END,
       reason       = CASE WHEN letter.settled_at IS NULL THEN excluded.reason ELSE letter.reason END;
