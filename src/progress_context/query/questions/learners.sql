-- Learners by part of their id; those found are few, so their days are looked up one by one.
-- reads: learners
SELECT found.learner_id AS "userId",
       (SELECT max(last_day) FROM read.streak_runs AS run WHERE run.learner_key = found.learner_key) AS "lastActiveDay",
       (SELECT coalesce(sum(days), 0)::int FROM read.streak_runs AS run WHERE run.learner_key = found.learner_key)
         AS "totalActiveDays"
  FROM (SELECT learner_key, learner_id
          FROM learners
         WHERE :search::text IS NULL OR strpos(lower(learner_id), lower(:search::text)) > 0
         ORDER BY learner_key
         LIMIT :first::int) AS found
 ORDER BY found.learner_key
