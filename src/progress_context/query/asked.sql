-- The moment asked about, and the learner's date at that moment: wall clock less the rollover hour.
SELECT moment.at,
       ((CASE WHEN coalesce(home.zone, :zone) ~ '^[+-]'
              THEN moment.at AT TIME ZONE coalesce(home.zone, :zone)::interval
              ELSE moment.at AT TIME ZONE coalesce(home.zone, :zone) END)
        - make_interval(hours => coalesce(home.rollover_hour, :rollover_hour)))::date AS today
  FROM (SELECT :at::timestamptz AS at) AS moment
  LEFT JOIN (SELECT zone[3] #>> '{}' AS zone, rollover_hour[3]::int AS rollover_hour
               FROM :calendar AS c
              WHERE c.learner_key = :learner) AS home ON true
