-- What the answer reflects, in this very snapshot: which versions are active (each has a checkpoint of shard 0; the
-- sum of their hashes stands for them), and the position of the realtime ones.
SELECT coalesce(sum(hashint8extended(version.version_id, 0)) FILTER (WHERE checkpoint.shard = 0), 0)::text AS versions,
       coalesce(min(checkpoint.position) FILTER (WHERE version.update_mode = 'realtime'), 0) AS position
  FROM engine.versions AS version
  JOIN engine.checkpoints AS checkpoint USING (version_id)
 WHERE version.status = 'active'
