-- The tables of all active read models: how large they are (rows as last counted by ANALYZE, -1: never), which
-- version, and how far the slowest shard is behind the log.
SELECT version.read_model, version.fingerprint, version.activated_at, class.reltuples::bigint AS rows,
       pg_total_relation_size(class.oid) AS bytes, reached.position, head.position - reached.position AS lag
  FROM engine.versions AS version
  JOIN pg_class AS class ON class.oid = to_regclass(format('read.%I', version.table_name))
 CROSS JOIN log.head AS head
 CROSS JOIN LATERAL (
   SELECT min(position) AS position FROM engine.checkpoints AS c WHERE c.version_id = version.version_id) AS reached
 WHERE version.status = 'active'
 ORDER BY version.read_model
