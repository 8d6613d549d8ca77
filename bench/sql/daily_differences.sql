-- What daily rows lack or exceed, against a recount of the log in one statement.
SELECT coalesce(sum(greatest(0, coalesce(counted.reviews, 0) - coalesce(kept.reviews, 0))
                  + greatest(0, coalesce(counted.correct, 0) - coalesce(kept.correct, 0))), 0)::bigint AS missed,
       coalesce(sum(greatest(0, coalesce(kept.reviews, 0) - coalesce(counted.reviews, 0))
                  + greatest(0, coalesce(kept.correct, 0) - coalesce(counted.correct, 0))), 0)::bigint AS duplicated
  FROM (SELECT learner_key, learning_day, count(*) AS reviews,
               count(*) FILTER (WHERE data->>'judgment' <> 'UserConfirmedIncorrect') AS correct
          FROM log.events
         WHERE type = 'learning.CorrectnessJudged'
         GROUP BY learner_key, learning_day) AS counted
  FULL JOIN read.daily_stats AS kept USING (learner_key, learning_day)
