SELECT position, source, id, type, version, learner_key, occurred_at, learning_day, recorded_at, data, context
  FROM log.events
 WHERE type = $3 AND position > $1
 ORDER BY position
 LIMIT $2
