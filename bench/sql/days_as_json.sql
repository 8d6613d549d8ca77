-- The days $2 … $3 of learner $1 as a JSON text, quiet days included: the whole answer in one statement.
SELECT json_agg(row_to_json(asked) ORDER BY asked.date)
  FROM (SELECT day::date AS date,
               coalesce(reviews, 0)::int AS reviews,
               coalesce(correct, 0)::int AS correct,
               coalesce(reviews - correct, 0)::int AS incorrect,
               correct::float8 / nullif(reviews, 0)::float8 AS accuracy,
               coalesce(activities, 0)::int AS activities
          FROM generate_series($2::date, $3::date, interval '1 day') AS day
          LEFT JOIN (SELECT stats.*
                       FROM read.daily_stats AS stats
                       JOIN log.learners AS learner USING (learner_key)
                      WHERE learner.learner_id = $1 AND learning_day BETWEEN $2 AND $3) AS stored
                 ON learning_day = day::date) AS asked
