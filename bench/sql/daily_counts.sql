-- The part of daily_stats that one pass over the events can count, as one would write it without an engine.
SELECT event.learner_key,
       event.learning_day,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged') AS reviews,
       count(*) FILTER (WHERE type = 'learning.CorrectnessJudged'
                          AND data->>'judgment' <> 'UserConfirmedIncorrect') AS correct,
       sum((data->>'response_time_ms')::bigint) FILTER (WHERE type = 'learning.CorrectnessJudged')
         AS response_time_ms,
       count(*) FILTER (WHERE type = 'learning.ActivityRecorded') AS activities,
       count(*) FILTER (WHERE type = 'learning.SessionCompleted') AS sessions,
       sum((data->>'tokens_used')::bigint) FILTER (WHERE type = 'ai.UsageRecorded') AS ai_tokens
  FROM log.events AS event
 WHERE event.learner_key IS NOT NULL
   AND NOT EXISTS (
       SELECT FROM log.voids AS void
        WHERE void.learner_key = event.learner_key AND void.source = event.source AND void.id = event.id)
 GROUP BY event.learner_key, event.learning_day
