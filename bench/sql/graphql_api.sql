-- What PostGraphile serves: every learner's days with a review or an activity, and all days of a range.
CREATE SCHEMA api;

CREATE VIEW api.daily_stats AS
SELECT learner_id AS user_id,
       learning_day AS date,
       reviews::int AS reviews,
       correct::int AS correct,
       (reviews - correct)::int AS incorrect,
       correct::float8 / nullif(reviews, 0)::float8 AS accuracy,
       activities::int AS activities
  FROM read.daily_stats
  JOIN log.learners USING (learner_key)
 WHERE reviews > 0 OR activities > 0;

CREATE FUNCTION api.learner_days(user_id text, day_from date, day_to date) RETURNS SETOF api.daily_stats
LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT learner_days.user_id,
       day::date,
       coalesce(reviews, 0),
       coalesce(correct, 0),
       coalesce(incorrect, 0),
       accuracy,
       coalesce(activities, 0)
  FROM generate_series(day_from, day_to, interval '1 day') AS day
  LEFT JOIN (SELECT * FROM api.daily_stats AS kept
              WHERE kept.user_id = learner_days.user_id AND kept.date BETWEEN day_from AND day_to) AS stored
         ON stored.date = day::date
 ORDER BY day;
END;
