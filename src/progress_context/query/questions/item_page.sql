-- One page of items and one row more, to know whether there is another page. A cursor is where its item stands.
-- reads: item_matches
SELECT item_id AS "itemId", spelling, level,
       first_seen_at AS "firstSeenAt", last_reviewed_at AS "lastReviewedAt",
       reviews::int AS reviews, correct::int AS correct, accuracy,
       average_response_time_ms AS "averageResponseTimeMs",
       mastery_level::float8 AS "masteryLevel", mastered, next_review_at AS "nextReviewAt",
       easiness::float8 AS easiness, last_answer_correct AS "lastAnswerCorrect", overdue, struggling,
       translate(encode(convert_to((extract(epoch FROM seen_at) * 1000000)::bigint || ' ' || item_id, 'UTF8'), 'base64'),
                 E'+/=\n', '-_') AS cursor,
       row_number() OVER (ORDER BY seen_at DESC, item_id DESC) AS number
  FROM item_matches
 WHERE :seen_at::timestamptz IS NULL OR (seen_at, item_id) < (:seen_at::timestamptz, :item_id::text)
 ORDER BY seen_at DESC, item_id DESC
 LIMIT :first::int + 1
