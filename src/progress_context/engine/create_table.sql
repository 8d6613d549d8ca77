CREATE TABLE :table AS
SELECT :columns FROM (
:select
) AS fresh
  WITH NO DATA
