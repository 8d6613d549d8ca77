-- The moment asked about, and the learner's date at that moment: wall clock less the rollover hour.
SELECT moment.at,
       ((CASE WHEN home.zone ~ '^[+-]' THEN moment.at AT TIME ZONE home.zone::interval
              ELSE moment.at AT TIME ZONE home.zone END)
        - make_interval(hours => home.rollover_hour))::date AS today
  FROM (SELECT :at::timestamptz AS at) AS moment
 CROSS JOIN (
   SELECT coalesce((SELECT zone[3] #>> '{}' FROM :calendar AS c WHERE c.learner_key = :learner), :zone)
            AS zone,
          coalesce((SELECT rollover_hour[3]::int FROM :calendar AS c WHERE c.learner_key = :learner),
                   :rollover_hour) AS rollover_hour) AS home
