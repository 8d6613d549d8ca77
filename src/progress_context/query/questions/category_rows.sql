-- reads: categories
SELECT * FROM categories ORDER BY number
