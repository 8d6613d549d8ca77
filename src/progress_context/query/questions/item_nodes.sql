-- reads: item_page
SELECT * FROM item_page WHERE number <= :first::int ORDER BY number
