SELECT position, source, id, type, version, learner_key, occurred_at, learning_day, recorded_at, data, context
  FROM log.events
 WHERE learner_key = (SELECT learner_key FROM log.learners WHERE learner_id = $3)
   AND position > $1
   AND ($4::text IS NULL OR type = $4)
 ORDER BY position
 LIMIT $2
