-- Compute rows and put them into a table that does not hold them yet.
INSERT INTO :table (:columns)
:select
