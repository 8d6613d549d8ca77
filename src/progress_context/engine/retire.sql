-- Retire the active versions of read models $1, in favour of build $2: without a checkpoint nobody can maintain them
-- any more. It is noted where each shard stopped, and who was parked then: their rows are older.
WITH stopped AS (
  DELETE FROM engine.checkpoints
   USING engine.versions AS version
   WHERE checkpoints.version_id = version.version_id
     AND version.status = 'active' AND version.read_model = ANY ($1::text[])
  RETURNING checkpoints.version_id, shard, position
)
UPDATE engine.versions
   SET status = 'retired',
       replaced_by = $2,
       stopped_at = (SELECT array_agg(position ORDER BY shard) FROM stopped
                      WHERE stopped.version_id = versions.version_id),
       left_out = ARRAY (SELECT coalesce(learner_key, 0) FROM engine.parked)
 WHERE status = 'active' AND read_model = ANY ($1::text[])
