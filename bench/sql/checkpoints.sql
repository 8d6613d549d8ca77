-- Whether every realtime read model has folded the whole log.
SELECT bool_and(checkpoint.position = head.position) AS complete, count(*) AS read_models, max(head.position) AS events
  FROM engine.checkpoints AS checkpoint
  JOIN engine.versions AS version USING (version_id)
 CROSS JOIN log.head AS head
 WHERE version.status = 'active' AND version.update_mode = 'realtime'
