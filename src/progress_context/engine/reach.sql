-- How far all realtime read models are, whoever keeps them, and the end of the log, in one snapshot.
SELECT coalesce(min(checkpoint.position), 0) AS durable, (SELECT position FROM log.head) AS head
  FROM engine.checkpoints AS checkpoint
  JOIN engine.versions AS version USING (version_id)
 WHERE version.status = 'active' AND version.update_mode = 'realtime'
