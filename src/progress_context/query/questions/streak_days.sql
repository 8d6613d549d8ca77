-- What every day asked for meant for the streak.
-- reads: asked, daily_stats, streak_runs
WITH days AS (
  SELECT day::date AS date, asked.today,
         coalesce(reviews + sessions + activities > 0, false) AS active,
         coalesce(reviews, 0)::int AS reviews, coalesce(sessions, 0)::int AS sessions,
         coalesce(activities, 0)::int AS activities
    FROM asked
   CROSS JOIN LATERAL generate_series(coalesce(:day_from::date, asked.today - 364),
                                      coalesce(:day_to::date, asked.today), interval '1 day') AS day
    LEFT JOIN daily_stats ON learning_day = day::date
), explained AS (
  SELECT days.*,
         CASE WHEN active THEN 'ACTIVE'
              WHEN run.first_day IS NOT NULL THEN 'BRIDGED'
              WHEN date = today THEN 'PENDING'
              WHEN date > today THEN 'AHEAD'
              ELSE 'MISSED' END AS status,
         coalesce((SELECT count(*) FROM daily_stats
                    WHERE learning_day BETWEEN run.first_day AND date AND reviews + sessions + activities > 0), 0)::int
           AS day_of_streak
    FROM days
    LEFT JOIN streak_runs AS run ON date BETWEEN run.first_day AND run.last_day
)
SELECT date, status, day_of_streak AS "dayOfStreak", reviews, sessions, activities,
       replace(en, '#', day_of_streak::text) AS "text.en",
       replace(ja, '#', day_of_streak::text) AS "text.ja"
  FROM explained
  JOIN (VALUES
    ('ACTIVE', 'Active: day # of the streak.', '学習しました。ストリーク#日目です。'),
    ('BRIDGED', 'Missed, but bridged: the streak goes on after # active days.',
     '学習はありませんでしたが、猶予によりストリークは#日で続いています。'),
    ('PENDING', 'Nothing yet today: the streak can still go on.', '今日はまだです。ストリークはまだ続けられます。'),
    ('MISSED', 'Missed: a streak up to the day before ended here.', '学習がなく、前日までのストリークはここで途切れました。'),
    ('AHEAD', 'Still to come.', 'これからの日です。')
  ) AS texts (status, en, ja) USING (status)
 ORDER BY date
