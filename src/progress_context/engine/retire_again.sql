-- What rollback $1 was bringing back retires again, where it is now.
WITH stopped AS (
  DELETE FROM engine.checkpoints
   USING engine.versions AS version
   WHERE checkpoints.version_id = version.version_id AND version.build_id = $1 AND version.status = 'building'
  RETURNING checkpoints.version_id, shard, position
)
UPDATE engine.versions
   SET status = 'retired',
       stopped_at = (SELECT array_agg(position ORDER BY shard) FROM stopped
                      WHERE stopped.version_id = versions.version_id),
       left_out = ARRAY (SELECT unnest(versions.left_out) UNION SELECT unnest(builds.left_out))
  FROM engine.builds
 WHERE builds.build_id = $1 AND versions.build_id = $1 AND status = 'building'
