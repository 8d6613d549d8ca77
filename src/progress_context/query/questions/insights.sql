-- What stands out in the metrics of a period.
-- reads: performance
SELECT code, en AS "text.en", ja AS "text.ja"
  FROM (SELECT) AS one
  LEFT JOIN performance ON period = :period::text
 CROSS JOIN LATERAL (VALUES
    (1, 'NO_REVIEWS', coalesce(reviews, 0) = 0, 'No answers in this period.', 'この期間の回答はありません。'),
    (2, 'ACCURACY_RISING', accuracy_trend = 'UP', 'You answer more often correctly than before.',
     '以前より正答率が上がっています。'),
    (3, 'ACCURACY_FALLING', accuracy_trend = 'DOWN', 'You answer less often correctly than before.',
     '以前より正答率が下がっています。'),
    (4, 'STRONG_RETENTION', retention >= 0.9, 'You remember at least nine of ten items after a day or more.',
     '1日以上たっても、10項目中9項目以上を覚えています。'),
    (5, 'WEAK_RETENTION', retention < 0.8, 'You forget more than one of five items between reviews.',
     '復習までに、5項目中1項目以上を忘れています。'),
    (6, 'LATE_REVIEWS', on_time < 0.7, 'Many reviews come more than a day late.', '多くの復習が1日以上遅れています。'),
    (7, 'CONSISTENT', consistency >= 0.8, 'You study on most days.', 'ほとんどの日に学習しています。'),
    (8, 'IRREGULAR', consistency < 0.4, 'You study on few days.', '学習した日が少なめです。')
  ) AS insight (number, code, holds, en, ja)
 WHERE holds
 ORDER BY number
