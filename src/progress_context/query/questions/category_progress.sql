-- One row: how far the learner is through all categories together.
-- reads: categories
SELECT 100 * sum(mastered)::float8 / nullif(sum("totalItems"), 0)::float8 AS "overallCompletion" FROM categories
