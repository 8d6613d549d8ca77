-- Everything between positions $3 and $4 was accepted: move the checkpoint, if the token $2 is still the holder's.
-- After a crash of the server it may stand where it was, and what follows is published again: no need to wait
-- for the disk.
WITH moved AS (
  UPDATE ops.relays
     SET position = $4, moved_at = clock_timestamp()
   WHERE topic = $1 AND token = $2 AND position = $3
  RETURNING position
)
SELECT set_config('synchronous_commit', 'off', true), (SELECT position FROM moved) AS position
