-- The newest visible event of each of the learners $1, who are given by key.
SELECT watched.learner_key, newest.position
  FROM (:position) AS state (position)
 CROSS JOIN unnest($1::bigint[]) AS watched (learner_key)
 CROSS JOIN LATERAL (
       SELECT position
         FROM log.events AS event
        WHERE event.learner_key = watched.learner_key AND event.position <= state.position
        ORDER BY position DESC
        LIMIT 1) AS newest
