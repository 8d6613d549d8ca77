-- Of the next $4 learners behind key $3: who did anything on the days $1 … $2, and where to go on (null: nowhere).
SELECT coalesce(array_agg(learner_key ORDER BY learner_key) FILTER (WHERE is_active), '{}') AS learners,
       max(learner_key) AS last
  FROM (SELECT learner_key,
               EXISTS (SELECT FROM read.daily_stats AS day
                        WHERE day.learner_key = learner.learner_key AND learning_day BETWEEN $1 AND $2) AS is_active
          FROM log.learners AS learner
         WHERE learner_key > $3
         ORDER BY learner_key
         LIMIT $4) AS page
