-- The active table of read model $1: its columns, its grain, and how far each shard is.
SELECT version.fingerprint, version.update_mode, version.table_name, columns.columns, columns.types, columns.grain,
       (SELECT array_agg(position ORDER BY shard) FROM engine.checkpoints AS c WHERE c.version_id = version.version_id) AS reached
  FROM engine.versions AS version
 CROSS JOIN LATERAL (
   SELECT array_agg(attname::text ORDER BY attnum) AS columns,
          array_agg(format_type(atttypid, NULL) ORDER BY attnum) AS types,
          array_agg(attname::text ORDER BY array_position(indkey::int2[], attnum)) FILTER (WHERE attnum = ANY (indkey)) AS grain
     FROM pg_attribute
     JOIN pg_index ON indrelid = attrelid AND indisprimary
    WHERE attrelid = to_regclass(format('read.%I', version.table_name)) AND attnum > 0 AND NOT attisdropped) AS columns
 WHERE version.read_model = $1 AND version.status = 'active'
