-- Advice from the weeks asked for, the most important first.
-- reads: asked, weekly_stats, item_stats
WITH running AS (
  SELECT today, today - extract(isodow FROM today)::int + 1 AS monday FROM asked
), facts AS (
  SELECT (today - monday) + 7 * (:weeks::int - 1) + 1 AS days,
         inside.*, coalesce(latest.reviews, 0) AS latest, coalesce(before.reviews, 0) AS before
    FROM running
   CROSS JOIN LATERAL (SELECT coalesce(sum(active_days), 0) AS active_days, coalesce(sum(reviews), 0) AS reviews,
                              coalesce(sum(correct), 0) AS correct
                         FROM weekly_stats
                        WHERE week BETWEEN monday - 7 * (:weeks::int - 1) AND monday) AS inside
    LEFT JOIN weekly_stats AS latest ON latest.week = monday - 7
    LEFT JOIN weekly_stats AS before ON before.week = monday - 14
), due AS (
  SELECT count(*) FILTER (WHERE overdue) AS overdue FROM item_stats
), advice (number, code, holds) AS (
  SELECT 1, 'START_AGAIN', active_days = 0 FROM facts
  UNION ALL
  SELECT 2, 'STUDY_MORE_OFTEN', active_days > 0 AND 2 * active_days < days FROM facts
  UNION ALL
  SELECT 3, 'REGAIN_PACE', active_days > 0 AND latest < before AND 100 * latest <= 95 * before FROM facts
  UNION ALL
  SELECT 4, 'REVIEW_STRUGGLING_ITEMS', reviews >= 10 AND correct < 0.6 * reviews FROM facts
  UNION ALL
  SELECT 5, 'CLEAR_OVERDUE_REVIEWS', overdue >= 20 FROM due
), found AS (
  SELECT number, code FROM advice WHERE holds
), all_found AS (
  SELECT number, code FROM found
  UNION ALL
  SELECT 6, 'KEEP_GOING' FROM facts
   WHERE NOT EXISTS (SELECT FROM found) AND 5 * active_days >= 4 * days
)
SELECT code, en AS "text.en", ja AS "text.ja"
  FROM all_found
  JOIN (VALUES
    ('START_AGAIN', 'Begin with one short session today.', 'まずは今日、短いセッションを1回始めましょう。'),
    ('STUDY_MORE_OFTEN', 'Short sessions on more days help more than long ones now and then.',
     'たまに長くより、短い学習を多くの日に行うほうが効果的です。'),
    ('REGAIN_PACE', 'You reviewed less last week than the week before; a few reviews a day bring you back.',
     '先週は前の週より復習が減りました。1日数問からペースを取り戻しましょう。'),
    ('REVIEW_STRUGGLING_ITEMS', 'Many answers were wrong; repeat difficult items before adding new ones.',
     '不正解が多めです。新しい項目の前に、苦手な項目を復習しましょう。'),
    ('CLEAR_OVERDUE_REVIEWS', 'Many reviews are overdue; do those first.',
     '期限を過ぎた復習がたまっています。先に片付けましょう。'),
    ('KEEP_GOING', 'You study steadily; keep going.', '着実に学習できています。この調子で続けましょう。')
  ) AS texts (code, en, ja) USING (code)
 ORDER BY number
