SELECT learner_key, count(*) AS events
  FROM log.events
 WHERE learner_key IS NOT NULL
 GROUP BY learner_key
 ORDER BY abs(count(*) - 10000)
 LIMIT 1
