SELECT snapshot_id, position, taken_at,
       count(part.read_model) AS tables,
       coalesce(sum(part.row_count), 0)::bigint AS rows,
       coalesce(sum(pg_total_relation_size(to_regclass(format('snapshot.%I', part.table_name)))), 0)::bigint AS bytes,
       coalesce(array_agg(part.read_model ORDER BY part.read_model) FILTER (WHERE part.damaged_at IS NOT NULL), '{}')
         AS damaged
  FROM engine.snapshots
  LEFT JOIN engine.snapshot_tables AS part USING (snapshot_id)
 GROUP BY snapshot_id
 ORDER BY position DESC, snapshot_id DESC
