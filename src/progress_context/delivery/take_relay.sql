-- Process $2 takes over publishing to topic $1 for $3 seconds, if nobody does it. A process that comes back
-- under its former name need not wait for itself.
UPDATE ops.relays
   SET holder = $2, token = token + 1, expires_at = now() + make_interval(secs => $3)
 WHERE topic = $1 AND (holder IS NULL OR holder = $2 OR expires_at < now())
RETURNING token, position
