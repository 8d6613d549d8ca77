-- Builds that are not finished; one whose process gave no sign of life for $1 seconds is not alive.
SELECT build_id, kind, base_position, beat_at,
       beat_at > clock_timestamp() - make_interval(secs => $1) AS alive,
       array_agg(read_model) AS names,
       array_agg(read_model || ' ' || fingerprint || ' ' || update_mode) AS made
  FROM engine.builds
  JOIN engine.versions USING (build_id)
 WHERE status = 'building'
 GROUP BY build_id
 ORDER BY build_id
