-- The log as plain facts for a daily projection, in order, without voided events.
SELECT event.position, learner.learner_id, event.learning_day, event.type, event.data->>'judgment' AS judgment
  FROM log.events AS event
  JOIN log.learners AS learner USING (learner_key)
 WHERE NOT EXISTS (
       SELECT FROM log.voids AS void
        WHERE void.learner_key = event.learner_key AND void.source = event.source AND void.id = event.id)
 ORDER BY event.position
