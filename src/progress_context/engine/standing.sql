-- How everything stands at one moment, as JSON: the log, every active read model, who works, what waits. $1: seconds
-- without a sign of life after which a worker counts as gone, $2: the same for a build.
-- Lag in seconds is the age of the oldest event that a read model does not reflect yet. Nothing here reads more of
-- the log than one event for each read model.
WITH moment AS MATERIALIZED (
  SELECT clock_timestamp() AS at, position AS head, nullif(recorded_at, '-infinity') AS recorded_at FROM log.head
),
model_row AS (
  SELECT version.read_model AS name, version.update_mode AS update, left(version.fingerprint, 6) AS version,
         reached.position, reached.moved_at, head - reached.position AS lag_events,
         coalesce(greatest(0, extract(epoch FROM at - waiting.recorded_at)), 0) AS lag_seconds
    FROM moment
   CROSS JOIN engine.versions AS version
   CROSS JOIN LATERAL (
     SELECT position, updated_at AS moved_at FROM engine.checkpoints AS checkpoint
      WHERE checkpoint.version_id = version.version_id ORDER BY position, updated_at LIMIT 1) AS reached
    LEFT JOIN LATERAL (
     SELECT recorded_at FROM log.events AS event WHERE event.position = reached.position + 1 OFFSET 0) AS waiting ON true
   WHERE version.status = 'active'
),
shard_row AS (
  SELECT shard, min(position) AS position, max(head) - min(position) AS lag_events
    FROM moment
   CROSS JOIN engine.checkpoints
    JOIN engine.versions USING (version_id)
   WHERE status = 'active' AND update_mode = 'realtime'
   GROUP BY shard
),
lease_row AS (
  SELECT name, holder, expires_at > at AS held FROM engine.leases CROSS JOIN moment
),
build_row AS (
  SELECT build_id AS build, kind, filled AS catching_up, started_at,
         beat_at > at - make_interval(secs => $2) AS alive,
         array_agg(read_model ORDER BY read_model) AS read_models,
         CASE WHEN filled THEN min(reached.position) ELSE chunks.events END AS done,
         CASE WHEN filled THEN max(head) ELSE upto END AS total
    FROM moment
   CROSS JOIN engine.builds
    JOIN engine.versions AS version USING (build_id)
   CROSS JOIN LATERAL (
     SELECT min(position) AS position FROM engine.checkpoints AS c WHERE c.version_id = version.version_id) AS reached
   CROSS JOIN LATERAL (
     SELECT coalesce(sum(events), 0)::bigint AS events FROM engine.build_chunks AS c
      WHERE c.build_id = builds.build_id) AS chunks
   WHERE status = 'building'
   GROUP BY build_id, kind, filled, started_at, beat_at, at, upto, chunks.events
),
damaged AS (
  SELECT DISTINCT snapshot_id FROM engine.snapshot_tables WHERE damaged_at IS NOT NULL
),
sound AS (
  SELECT position, taken_at FROM engine.snapshots WHERE snapshot_id NOT IN (SELECT snapshot_id FROM damaged)
   ORDER BY position DESC, snapshot_id DESC LIMIT 1
)
SELECT json_build_object(
         'at', at, 'head', head, 'recorded_at', recorded_at,
         'read_models', (SELECT coalesce(json_agg(model_row ORDER BY name), '[]') FROM model_row),
         'shards', (SELECT coalesce(json_agg(shard_row ORDER BY shard), '[]') FROM shard_row),
         'leases', (SELECT coalesce(json_agg(lease_row ORDER BY name), '[]') FROM lease_row),
         'workers', (SELECT count(*) FROM engine.workers WHERE seen_at > at - make_interval(secs => $1)),
         'builds', (SELECT coalesce(json_agg(build_row ORDER BY build), '[]') FROM build_row),
         'snapshots', json_build_object(
           'count', (SELECT count(*) FROM engine.snapshots), 'damaged', (SELECT count(*) FROM damaged),
           'position', (SELECT position FROM sound), 'taken_at', (SELECT taken_at FROM sound)),
         'parked', json_build_object(
           'count', (SELECT count(*) FROM engine.parked), 'since', (SELECT min(parked_at) FROM engine.parked)))::text
  FROM moment
