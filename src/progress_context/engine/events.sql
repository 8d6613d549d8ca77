-- The one relation named `events` that every read model sees: stored events at their present shape,
-- without those that an EventVoided names by position :upto. Older versions are upcast here.
SELECT event.position,
       event.source,
       event.id,
       CASE WHEN event.version = 1 THEN event.type ELSE event.type || '/' || event.version END AS type,
       event.learner_key,
       event.occurred_at,
       event.learning_day,
       event.recorded_at,
       event.data,
       coalesce(event.context->>'timezone', substring(event.context->>'time' FROM '[+-][0-9]{2}:[0-9]{2}$')) AS zone,
       1 AS weight
  FROM log.events AS event
 WHERE :scope
   AND event.position <= :upto
   AND NOT EXISTS (
       SELECT FROM log.voids AS void
        WHERE void.learner_key = event.learner_key
          AND void.source = event.source
          AND void.id = event.id
          AND void.position <= :upto
          AND event.type <> 'learning.EventVoided')
