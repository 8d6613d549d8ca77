-- $2 positions spread evenly over the events of learner $1, the last one included.
SELECT max(position)
  FROM (SELECT position, ntile($2::int) OVER (ORDER BY position) AS part FROM log.events WHERE learner_key = $1) AS events
 GROUP BY part
 ORDER BY part
