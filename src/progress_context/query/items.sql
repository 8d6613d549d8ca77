-- One page of items and one row more, to know whether there is another page.
SELECT item_id AS "itemId", spelling, level,
       first_seen_at AS "firstSeenAt", last_reviewed_at AS "lastReviewedAt",
       reviews, correct, accuracy, average_response_time_ms AS "averageResponseTimeMs",
       mastery_level AS "masteryLevel", mastered, next_review_at AS "nextReviewAt", easiness,
       last_answer_correct AS "lastAnswerCorrect", overdue, struggling,
       coalesce(last_reviewed_at, first_seen_at) AS seen_at
  FROM item_stats
 WHERE ($2::text[] IS NULL OR item_id = ANY ($2))
   AND CASE $3::text WHEN 'STRUGGLING'  THEN struggling
                     WHEN 'MASTERED'    THEN mastered
                     WHEN 'IN_PROGRESS' THEN NOT mastered
                     WHEN 'OVERDUE'     THEN overdue
                     ELSE true END
   AND ($4::timestamptz IS NULL
        OR (coalesce(last_reviewed_at, first_seen_at), item_id) < ($4::timestamptz, $5::text))
 ORDER BY seen_at DESC, item_id DESC
 LIMIT $6
