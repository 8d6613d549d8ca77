-- reads: item_page
SELECT cursor,
       "itemId" AS "node.itemId", spelling AS "node.spelling", level AS "node.level",
       "firstSeenAt" AS "node.firstSeenAt", "lastReviewedAt" AS "node.lastReviewedAt", reviews AS "node.reviews",
       correct AS "node.correct", accuracy AS "node.accuracy", "averageResponseTimeMs" AS "node.averageResponseTimeMs",
       "masteryLevel" AS "node.masteryLevel", mastered AS "node.mastered", "nextReviewAt" AS "node.nextReviewAt",
       easiness AS "node.easiness", "lastAnswerCorrect" AS "node.lastAnswerCorrect", overdue AS "node.overdue",
       struggling AS "node.struggling"
  FROM item_page
 WHERE number <= :first::int
 ORDER BY number
