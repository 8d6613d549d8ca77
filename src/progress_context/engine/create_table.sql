CREATE TABLE :table AS
:select
  WITH NO DATA
