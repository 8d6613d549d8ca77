SELECT count(*) AS events, count(DISTINCT learner_key) AS learners, count(DISTINCT learning_day) AS days
  FROM log.events
