-- The position that the realtime read models reflect, in this very snapshot.
SELECT coalesce(min(checkpoint.position), 0)
  FROM engine.checkpoints AS checkpoint
  JOIN engine.versions AS version USING (version_id)
 WHERE version.status = 'active' AND version.update_mode = 'realtime'
