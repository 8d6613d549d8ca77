-- Up to where news were told, and up to where they can be: what the realtime read models of all learners reflect.
SELECT news.position AS told,
       coalesce((SELECT min(checkpoint.position)
                   FROM engine.checkpoints AS checkpoint
                   JOIN engine.versions AS version USING (version_id)
                  WHERE version.status = 'active' AND version.update_mode = 'realtime'), 0) AS visible
  FROM ops.news
