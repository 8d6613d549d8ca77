-- The news that the events of positions $1 + 1 … $2 brought: what differs between the read models and what was
-- told before, of the learners with events in the page. Our own events bring none. A learning day more than $3
-- before the page's first event of the learner was received is history. Rows are the events to be sent, but for
-- those without an id, which only say how a learner stands.
WITH "news.learners" AS MATERIALIZED (
  SELECT learner_key,
         max(position) AS position,
         max(recorded_at) AS at,
         (min(recorded_at) - $3::interval)::date AS oldest_day
    FROM log.events
   WHERE position > $1 AND position <= $2 AND learner_key IS NOT NULL AND type NOT LIKE 'progress.%'
   GROUP BY learner_key
),
compared AS MATERIALIZED (
  SELECT learner.*, told.standing AS told_standing, told.last_day AS told_day, coalesce(told.streak, 0) AS previous,
         coalesce(run.days, 0) AS current, coalesce(run.longest, 0) AS longest, run.first_day, run.last_day,
         standing.standing, standing.newest_day
    FROM "news.learners" AS learner
    LEFT JOIN ops.told USING (learner_key)
    LEFT JOIN LATERAL (
         SELECT days, first_day, last_day, max(days) OVER () AS longest
           FROM read.streak_runs
          WHERE streak_runs.learner_key = learner.learner_key
          ORDER BY first_day DESC
          LIMIT 1) AS run ON true
   CROSS JOIN LATERAL (             -- a milestone is reached when one of these changes, and not otherwise
         SELECT max(learning_day) AS newest_day,
                concat_ws(' ', sum(sessions) > 0, sum(items_mastered), floor(sum(study_ms) / 3600000),
                          count(*) FILTER (WHERE active), sum(read.day_number(learning_day)) FILTER (WHERE active)) AS standing
           FROM read.daily_stats
          CROSS JOIN LATERAL (SELECT reviews + sessions + activities > 0 AS active) AS day
          WHERE daily_stats.learner_key = learner.learner_key) AS standing
),
"news.looked_at" AS MATERIALIZED (
  SELECT * FROM compared WHERE standing IS DISTINCT FROM told_standing AND newest_day >= oldest_day
),
streaks AS (
  SELECT *
    FROM compared
   WHERE (current <> previous OR first_day > told_day) AND greatest(last_day, told_day) >= oldest_day
),
achieved AS (
  SELECT learner.learner_key, learner.position, learner.at, milestone.type, milestone.threshold, milestone.level,
         milestone.achieved_on,
         'milestone:' || learner.learner_key || ':' || milestone.type || ':' || milestone.threshold AS id
    FROM (:milestones) AS milestone
    JOIN "news.looked_at" AS learner USING (learner_key)
   WHERE milestone.achieved AND milestone.achieved_on >= learner.oldest_day
)
SELECT 'streak:' || learner_key || ':' || position AS id,
       'progress.StreakUpdated' AS type,
       learner_key, position, at,
       coalesce(last_day, told_day) AS day,
       jsonb_build_object('current', current, 'previous', previous, 'longest', longest,
                          'day', coalesce(last_day, told_day))::text AS data,
       current AS streak,
       standing
  FROM streaks
 UNION ALL
SELECT NULL, NULL, learner_key, position, at, NULL, NULL, NULL, standing
  FROM "news.looked_at"
 WHERE learner_key NOT IN (SELECT learner_key FROM streaks)
 UNION ALL
SELECT id, 'progress.MilestoneAchieved', learner_key, position, at, achieved_on,
       jsonb_build_object('type', type, 'details', jsonb_strip_nulls(jsonb_build_object(
         'threshold', threshold, 'level', level, 'achieved_on', achieved_on)))::text,
       NULL, NULL
  FROM achieved
 WHERE (SELECT count(*) FROM log.events WHERE source = 'progress-context' AND events.id = achieved.id) = 0
 ORDER BY position, type DESC NULLS LAST, id
