-- Whether every shard of every realtime read model is at the end of the log, and the position of the foremost.
SELECT bool_and(checkpoint.position = head.position) AS complete, max(checkpoint.position) AS furthest
  FROM engine.checkpoints AS checkpoint
  JOIN engine.versions AS version USING (version_id)
 CROSS JOIN log.head AS head
 WHERE version.status = 'active' AND version.update_mode = 'realtime'
