-- What an archive of the log would hold of each learner's event that stands: voided ones are left out.
SELECT event.learner_key, event.learning_day, event.type, event.data
  FROM log.events AS event
 WHERE event.learner_key IS NOT NULL
   AND NOT EXISTS (
       SELECT FROM log.voids AS void
        WHERE void.learner_key = event.learner_key AND void.source = event.source AND void.id = event.id)
