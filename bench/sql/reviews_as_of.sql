-- A plain count of the answers of learner $1 that stood at position $2.
SELECT count(*)
  FROM log.events AS event
 WHERE learner_key = $1 AND position <= $2 AND type = 'learning.CorrectnessJudged'
   AND NOT EXISTS (
       SELECT FROM log.voids AS void
        WHERE void.learner_key = event.learner_key AND void.source = event.source AND void.id = event.id
          AND void.position <= $2)
