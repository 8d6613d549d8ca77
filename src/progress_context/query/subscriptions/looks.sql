-- For learners ($1, by id) and positions ($2; null: now): what is visible, and what changed behind the position.
-- `newest` is the learner's newest event that is visible. `first_day` … `last_day` are the learning days whose figures
-- events behind the position may have changed: those of the events themselves and of events that were voided, later
-- days when an event came late, and the days on which sessions are counted.
SELECT asked.number,
       learner.learner_key,
       state.position,
       newest.position AS newest,
       least(changed.first_day, counted.first_day) AS first_day,
       greatest(changed.last_day, counted.last_day,
                (SELECT max(learning_day)
                   FROM read.daily_stats
                  WHERE changed.first_day IS NOT NULL AND daily_stats.learner_key = learner.learner_key)) AS last_day
  FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS asked (learner_id, after, number)
 CROSS JOIN (:position) AS state (position)
  LEFT JOIN LATERAL (:learner) AS learner ON true
  LEFT JOIN LATERAL (
       SELECT position
         FROM log.events AS event
        WHERE event.learner_key = learner.learner_key AND event.position <= state.position
        ORDER BY position DESC
        LIMIT 1) AS newest ON true
  LEFT JOIN LATERAL (
       SELECT min(learning_day) AS first_day, max(learning_day) AS last_day,
              array_agg(DISTINCT session_id) FILTER (WHERE session_id IS NOT NULL) AS sessions
         FROM (SELECT learning_day, data->>'session_id' AS session_id
                 FROM log.events AS event
                WHERE event.learner_key = learner.learner_key
                  AND event.position > asked.after AND event.position <= state.position
                  AND event.type NOT LIKE 'progress.%'
                UNION ALL
               SELECT event.learning_day, event.data->>'session_id'
                 FROM log.voids AS void
                 JOIN log.events AS event USING (source, id)
                WHERE void.learner_key = learner.learner_key AND event.learner_key = void.learner_key
                  AND void.position > asked.after AND void.position <= state.position) AS touched) AS changed
         ON newest.position > asked.after
  LEFT JOIN LATERAL (
       SELECT least(min(read.day_of(completion)), min(read.day_of(abandonment))) AS first_day,
              greatest(max(read.day_of(completion)), max(read.day_of(abandonment))) AS last_day
         FROM read.sessions
        WHERE sessions.learner_key = learner.learner_key
          AND sessions.session_id = ANY (changed.sessions)) AS counted ON changed.sessions IS NOT NULL
 ORDER BY asked.number
